"""What a `storageUri` says, as text alone: a path of this machine, or an address in a store."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from serve_app.config import meant
from serve_app.errors import ConfigError

# Relative storageUris start here; the working directory of the Serve replica when unset.
ROOT_VARIABLE = "TANDEM_MODEL_ROOT"
# Where the volume of pvc://name is mounted: in the folder of that name below this one.
VOLUMES_VARIABLE = "TANDEM_PVC_ROOT"
VOLUMES = "/mnt/pvc"
# http:// to other machines than this one, for those who trust the network between.
PLAIN_VARIABLE = "TANDEM_ALLOW_HTTP"
_THIS_MACHINE = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")
_BLOB_HOST = re.compile(r"([a-z0-9]{3,24})\.(?:blob|dfs)(?:\.[a-z0-9-]+){2,4}", re.IGNORECASE)
_HUB_NAME = re.compile(r"[\w.-]{1,96}", re.ASCII)


@dataclass(frozen=True)
class Address:
    """`kind`: which store. `at`: there, as the store's library takes it, without a / at its end.

    `where`: the same for people and for keys of the cache, without credentials.
    """

    kind: str
    at: str
    where: str
    revision: str = ""  # of a repository on the hub
    account: str = ""  # of Azure's
    query: str = ""  # a signature


def address(uri: str) -> Path | Address:
    """Where `uri` leads; ConfigError for what can't be served from anywhere."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return _absolute(uri)
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in SCHEMES if one not in _REFUSED)
        close = meant(scheme, SCHEMES)
        hint = f"; did you mean {close}://?" if close else ""
        raise _wrong(uri, f"no support for {scheme}://{hint}; a folder (a path) or one of {known}")
    parts = urlsplit(uri)
    if parts.username is not None and scheme not in (
        "http",
        "https",
        "abfs",
        "abfss",
        "azure",
        "file",
        "hf",
    ):
        raise _wrong(uri, f"{scheme}:// takes no name or password; its library reads the environment")
    return SCHEMES[scheme](uri, parts)


def _wrong(uri: str, what: str) -> ConfigError:
    return ConfigError(f"storageUri '{uri}': {what}")


def _file(uri: str, parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost"):
        raise _wrong(uri, f"file:// takes an absolute path (file:///…), got host '{parts.netloc}'")
    if parts.query or parts.fragment:
        raise _wrong(uri, "file:// takes no query or fragment")
    return _absolute(unquote(parts.path))


def _volume(uri: str, parts: SplitResult) -> Path:
    steps = [parts.netloc, *unquote(parts.path).split("/")]
    if not parts.netloc or ".." in steps:
        raise _wrong(uri, "pvc://CLAIM/PATH is wanted: a PersistentVolumeClaim's name, and a path in it")
    root = Path(os.environ.get(VOLUMES_VARIABLE) or VOLUMES)
    return root.joinpath(*filter(None, steps))


def _absolute(path: str) -> Path:
    root = Path(os.environ.get(ROOT_VARIABLE) or Path.cwd())
    try:
        return (root / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, a NUL
        raise _wrong(path, str(error)) from None


def _bucket(kind: str) -> Callable[[str, SplitResult], Address]:
    def parsed(uri: str, parts: SplitResult) -> Address:
        if not parts.netloc:
            raise _wrong(uri, f"{parts.scheme}://BUCKET/PATH is wanted")
        if parts.query or parts.fragment:
            raise _wrong(uri, f"{parts.scheme}:// takes no query or fragment")
        at = _joined(uri, parts.netloc, parts.path)
        return Address(kind, at, f"{kind}://{at}")

    return parsed


def _azure(uri: str, parts: SplitResult) -> Address:
    """`az://container/path`, or `abfss://container@account.dfs.core.windows.net/path`."""
    container, user, host = parts.netloc.rpartition("@")
    if not user:
        container, host = parts.netloc, ""
    account = _BLOB_HOST.fullmatch(host)
    if not container or (user and not account):
        raise _wrong(
            uri,
            f"{parts.scheme}://CONTAINER/PATH or "
            f"{parts.scheme}://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH is wanted",
        )
    at = _joined(uri, container, parts.path)
    name = account[1] if account else ""
    return Address("azure", at, f"azure://{name}/{at}", account=name)


def _hub(uri: str, parts: SplitResult) -> Address:
    """`hf://owner/name[@revision][/folder]`; KServe writes the revision after a colon."""
    said = uri.partition("://")[2].strip("/")
    owner, _, rest = said.partition("/")
    found = re.fullmatch(r"([^@:/]+)(?:[@:](refs/(?:pr|convert)/[^/]+|[^/]*))?(?:/(.*))?", rest)
    names = [owner, found[1]] if found else []
    if not found or not all(map(_HUB_NAME.fullmatch, names)) or found[2] == "":
        raise _wrong(uri, "hf://OWNER/NAME is wanted, and may go on with @REVISION and /FOLDER")
    at = _joined(uri, f"{owner}/{found[1]}", found[3] or "")
    return Address("hf", at, f"hf://{at}", revision=unquote(found[2] or "main"))


def _web(uri: str, parts: SplitResult) -> Address:
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong(uri, str(error)) from None
    if not host:
        raise _wrong(uri, f"{parts.scheme}://HOST/PATH is wanted")
    if parts.fragment:
        raise _wrong(uri, f"{parts.scheme}:// takes no fragment")
    blob = _BLOB_HOST.fullmatch(host)
    if parts.scheme == "https" and blob and ".blob." in host.lower():
        at = _joined(uri, "", unquote(parts.path))
        if not at:
            raise _wrong(uri, f"https://{host}/CONTAINER/PATH is wanted")
        return Address("azure", at, f"azure://{blob[1]}/{at}", account=blob[1], query=parts.query)
    allowed = _THIS_MACHINE.fullmatch(host) or os.environ.get(PLAIN_VARIABLE) == "1"
    if parts.scheme == "http" and not allowed:
        raise _wrong(
            uri,
            "http:// to another machine can be read and changed on its way: "
            f"https://, or {PLAIN_VARIABLE}=1",
        )
    if not Path(unquote(parts.path)).name:
        raise _wrong(
            uri, f"{parts.scheme}:// leads to a file or an archive, and this has no file's name"
        )
    where = at_host(urlsplit(uri.partition("?")[0]))  # a signature may follow
    return Address("web", uri, where, query=parts.query)


def at_host(parts: SplitResult) -> str:
    """The address without who asks."""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


def _joined(uri: str, *parts: str) -> str:
    steps = [step for part in parts for step in part.split("/") if step]
    if "." in steps or ".." in steps or "\0" in uri:
        raise _wrong(uri, "no '.' or '..' in the path")
    return "/".join(steps)


def _image(uri: str, parts: SplitResult) -> Address:
    raise _wrong(
        uri,
        "oci:// is an image, which Kubernetes mounts and nobody fetches: mount it as a volume "
        "(`image: {reference: …}`), and give the path",
    )


_REFUSED = ("oci",)
SCHEMES: dict[str, Callable[[str, SplitResult], Path | Address]] = {
    "file": _file,
    "pvc": _volume,
    "s3": _bucket("s3"),
    "gs": _bucket("gs"),
    "abfss": _azure,
    "abfs": _azure,
    "az": _azure,
    "azure": _azure,
    "hf": _hub,
    "https": _web,
    "http": _web,
    "oci": _image,
}
