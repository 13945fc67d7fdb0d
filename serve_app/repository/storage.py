"""A `storageUri` as a local folder.

`SCHEMES` is the seam: one function per scheme, from URI to local folder.
"""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serve_app.config import meant
from serve_app.errors import ConfigError
from serve_app.redact import redacted

# Relative storageUris start here; the working directory of the Serve replica when unset.
ROOT_VARIABLE = "TANDEM_MODEL_ROOT"


def local_folder(uri: str) -> Path:
    """The folder that `uri` names, which exists. ConfigError says what was looked for, and where."""
    try:
        return _found(uri)
    except ConfigError as error:  # Serve shows it as it is: with everything that `uri` holds
        raise ConfigError(redacted(str(error))) from None


def _found(uri: str) -> Path:
    path = local_path(uri)
    if path is None:
        return SCHEMES[uri.partition("://")[0]](uri)
    try:
        if not path.is_dir():
            raise ConfigError(f"storageUri '{uri}': {_absent(path)}")
    except OSError as error:  # no permission
        raise ConfigError(f"storageUri '{uri}': {error.strerror}: {error.filename}") from None
    return path


def local_path(uri: str) -> Path | None:
    """Where that folder is, whether or not it exists; None for one that has to be fetched first.

    ConfigError for what can't be served from anywhere.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return _absolute(uri)
    if scheme == "file":
        return _file(uri)
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in ("file", *SCHEMES))
        raise ConfigError(
            f"storageUri '{uri}': no support for {scheme}://{_nearest(scheme)}; "
            f"a folder (a path) or one of {known}"
        )
    return None


def _nearest(scheme: str) -> str:
    close = meant(scheme, ("file", *SCHEMES))
    return f"; did you mean {close}://?" if close else ""


def _file(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(
            f"storageUri '{uri}': file:// takes an absolute path (file:///…), got host '{parts.netloc}'"
        )
    if parts.query or parts.fragment:
        raise ConfigError(f"storageUri '{uri}': file:// takes no query or fragment")
    return _absolute(unquote(parts.path))


# Of those that have to be fetched: from the URI to the folder that has it now.
SCHEMES: dict[str, Callable[[str], Path]] = {}


def _absolute(path: str) -> Path:
    root = Path(os.environ.get(ROOT_VARIABLE) or Path.cwd())
    try:
        return (root / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, a NUL
        raise ConfigError(f"storageUri '{path}': {error}") from None


def _absent(folder: Path) -> str:
    """What stands in its way, the nearest folder that there is, and what was probably meant."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return f"{there} is no folder"
    missing, *rest = folder.relative_to(there).parts
    try:
        better = meant(missing, (one.name for one in there.iterdir() if one.is_dir()))
    except OSError:
        better = ""
    meant_one = there / better / Path(*rest)
    close = meant_one if meant_one.is_dir() else there / better
    hint = f"; did you mean {close}?" if better else f"; {there} has no '{missing}'"
    if missing.startswith(("~", "$")):
        hint = f"; '{missing}' is a folder's name here: neither ~ nor variables are replaced"
    demo = " (the demo models: make models)" if ".models" in folder.parts else ""
    return f"no folder at {folder}{hint}{demo}"
