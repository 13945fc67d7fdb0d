"""A file's checksums, taken as its bytes come: SHA-256 always, and the one that its store tells."""

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

_PIECE = 2**20


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Hashes:
    """`told`: `KIND:VALUE`, or '' where nothing is. `size` is needed by git's."""

    def __init__(self, told: str = "", size: int = 0) -> None:
        self.kind, _, self._told = told.partition(":")
        self._sha256 = hashlib.sha256()
        self._own: _Hash | None = None
        if told and self.kind != "sha256":
            self._own = _KINDS[self.kind.partition("-")[0]](self.kind, size)

    def update(self, piece: bytes) -> None:
        """The next bytes."""
        self._sha256.update(piece)
        if self._own is not None:
            self._own.update(piece)

    def feed(self, file: Path) -> None:
        """All of a file."""
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                self.update(piece)

    @property
    def sha256(self) -> str:
        """In hexadecimal digits."""
        return self._sha256.hexdigest()

    @property
    def wrong(self) -> str:
        """What was told and what came, where they differ."""
        if not self._told:
            return ""
        came = self._own.hexdigest() if self._own else self.sha256
        if hmac.compare_digest(came, self._told.lower()):
            return ""
        return f"its {self.kind} is {came}, its store says {self._told}"


class _Parts:
    """S3's ETag of an object that was uploaded in parts of one size: the MD5 of their MD5s."""

    def __init__(self, kind: str, size: int) -> None:
        self._part = int(kind.partition("-")[2])
        self._done, self._now, self._left = b"", _md5(), self._part
        self._count = 0

    def update(self, data: bytes) -> None:
        while data:
            piece, data = data[: self._left], data[self._left :]
            self._now.update(piece)
            self._left -= len(piece)
            if not self._left:
                self._close()

    def _close(self) -> None:
        self._done += self._now.digest()
        self._count += 1
        self._now, self._left = _md5(), self._part

    def hexdigest(self) -> str:
        if self._left < self._part:
            self._close()
        return f"{hashlib.md5(self._done, usedforsecurity=False).hexdigest()}-{self._count}"


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _git(size: int) -> Any:
    """Of a blob as git knows it."""
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)


_KINDS: dict[str, Callable[[str, int], _Hash]] = {
    "md5": lambda kind, size: _Parts(kind, size) if "-" in kind else _md5(),
    "git": lambda kind, size: _git(size),
    "crc32": lambda kind, size: _Crc32(),
}


def of_base64(kind: str, value: str | bytes | bytearray | None) -> str:
    """A checksum that its store writes in base64, or as bytes."""
    if not value:
        return ""
    raw = base64.b64decode(value) if isinstance(value, str) else bytes(value)
    return f"{kind}:{raw.hex()}"


def sha256_of(file: Path) -> str:
    """Of what lies there."""
    hashes = Hashes()
    hashes.feed(file)
    return hashes.sha256
