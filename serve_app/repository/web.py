"""One file or archive at an http(s):// address, by Python's own client."""

import base64
import hashlib
import http.client
import uuid
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from serve_app.errors import ConfigError
from serve_app.repository.addresses import Address, address, at_host
from serve_app.repository.checksums import of_base64
from serve_app.repository.manifests import UNKNOWN, Manifest, RemoteFile, manifest
from serve_app.repository.reasons import Restart
from serve_app.repository.stores import changed

TIMEOUT_S = 30
_PIECE = 2**20


class _Redirects(HTTPRedirectHandler):
    """Only to where an address may lead, and without the password for another host."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        where = address(newurl)  # ConfigError for http://
        if not isinstance(where, Address):
            raise ConfigError(f"it leads on to {newurl}, which is no address in the web")
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            made.remove_header("Authorization")
        return made


class Web:
    """A folder that holds that one file."""

    def __init__(self, at: Address) -> None:
        self.at = at
        self._open = build_opener(_Redirects()).open

    def top(self) -> tuple[list[str], bool]:
        """See Store."""
        return [], True

    def manifest(self, folder: str) -> Manifest:
        """See Store. Size and tag are those of the first byte's answer: some servers know no HEAD."""
        with self._answer({"Range": "bytes=0-0"}, empty=True) as answer:
            about = answer.headers
            size, tag = _size(answer), _tag(about)
        name = PurePosixPath(unquote(urlsplit(self.at.at).path)).name
        checksum = of_base64("md5", _md5(about, answer.status))
        # What asks for another file is another one; it may be a signature, too, and be written nowhere.
        query = hashlib.sha256(self.at.query.encode()).hexdigest() if self.at.query else ""
        return manifest(self.at.where, folder, [RemoteFile(name, size, tag, checksum)], query)

    def told(self, file: RemoteFile, folder: str) -> str:
        """The first answer told all."""
        return ""

    def read(self, file: RemoteFile, folder: str, start: int) -> Iterator[bytes]:
        """See Store."""
        if start and not _strong(file.tag):
            raise Restart
        headers = {"Range": f"bytes={start}-", "If-Range": file.tag} if start else {}
        with self._answer(headers) as answer:
            tag = _tag(answer.headers)
            if _known(file.tag) and tag != file.tag:
                raise changed(file)
            if start and (answer.status != 206 or _begins(answer) != start):
                raise Restart
            while piece := answer.read1(_PIECE):
                yield piece

    def _answer(self, headers: dict[str, str], empty: bool = False) -> Any:
        parts = urlsplit(self.at.at)
        userinfo = parts.netloc.rpartition("@")[0]
        asked = {"Accept-Encoding": "identity", "User-Agent": "tandem-serve", **headers}
        if userinfo:
            known = base64.b64encode(unquote(userinfo).encode()).decode()
            asked["Authorization"] = f"Basic {known}"
        try:
            answer = self._open(
                Request(at_host(parts), headers=asked),  # noqa: S310  # http(s)
                timeout=TIMEOUT_S,
            )
        except HTTPError as error:
            if error.code == 416 and empty:  # no first byte
                return error
            error.close()
            raise
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            answer.close()
            raise ConfigError("the server compresses it on its way, although it was told not to")
        return answer


def _size(answer: Any) -> int:
    about = answer.headers
    if answer.status in (206, 416):
        total = (about.get("Content-Range") or "").rpartition("/")[2]
        return int(total) if total.isdecimal() else UNKNOWN
    if (length := about.get("Content-Length", "")).isdecimal():
        return int(length)
    if "chunked" not in about.get("Transfer-Encoding", ""):
        raise ConfigError("its server says neither its size nor where it ends")
    return UNKNOWN


def _tag(about: Any) -> str:
    """ETag, else the time of the last change, else one that is nobody's: that can't be kept."""
    if tag := about.get("ETag"):
        return str(tag)
    if changed_at := about.get("Last-Modified"):
        return f"changed {changed_at}"
    return f"unknown {uuid.uuid4().hex}"


def _known(tag: str) -> bool:
    return not tag.startswith("unknown ")


def _strong(tag: str) -> bool:
    return tag.startswith('"')


def _begins(answer: http.client.HTTPResponse) -> int:
    said = (answer.headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
    return int(said) if said.isdecimal() else -1


def _md5(about: Any, status: int) -> str:
    """Of the whole file: `Content-MD5` is of what is sent, so of an answer with all of it."""
    return str(about.get("Content-MD5") or "") if status == 200 else ""
