"""Where the desired state is kept: a folder, or a folder of a bucket. Writes are whole or not at all."""

import contextlib
import functools
import importlib
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from serve_app.errors import ConfigError
from serve_app.file_systems import said
from serve_app.redact import redacted

STATE = "state.json"


class Store(Protocol):
    """Bytes by name. Its methods block; OSError or another of the storage's own where they fail.

    `most`: the most bytes that one piece should have.
    """

    most: int

    def get(self, name: str) -> bytes | None:
        """What is kept under the name; None for nothing."""
        ...

    def put(self, name: str, data: bytes) -> None: ...

    def delete(self, name: str) -> None: ...

    def names(self) -> list[str]: ...


class Folder:
    """On disk. Others on the machine can't read it: it may hold a model."""

    most = 2**40

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=self._path, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(made, self._path / name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(made)
            raise
        folder = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def delete(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        if not self._path.is_dir():
            return []
        return [one.name for one in self._path.iterdir() if not one.name.startswith(".")]


class Bucket:
    """By fsspec, whose writes of one object are whole. `most` keeps a write to one request."""

    most = 2**30

    def __init__(self, uri: str, key: str = "admin.stateUri") -> None:
        try:
            fsspec: Any = importlib.import_module("fsspec")
            files, self._at = fsspec.core.url_to_fs(uri)
        except (ImportError, ValueError) as error:
            raise ConfigError(redacted(f"{key} '{uri}': {error}")) from None
        self._at = self._at.rstrip("/")
        self._files, self._said = files, functools.partial(said, files)

    def get(self, name: str) -> bytes | None:
        try:
            found: bytes = self._said("cat_file", f"{self._at}/{name}", times=_times(name))
        except FileNotFoundError:
            return None
        return found

    def put(self, name: str, data: bytes) -> None:
        self._said("pipe_file", f"{self._at}/{name}", data, times=_times(name))

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._said("rm_file", f"{self._at}/{name}")

    def names(self) -> list[str]:
        self._files.invalidate_cache()
        try:
            found = self._said("ls", self._at, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rsplit("/", 1)[-1] for path in found]


def _times(name: str) -> int:
    return 1 if name == STATE else 10  # files that were brought


def store_at(uri: str) -> Store:
    """The one at a `stateUri`."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return Folder(Path(uri).absolute())
    if scheme == "file":
        return Folder(Path(unquote(urlsplit(uri).path)))
    return Bucket(uri)
