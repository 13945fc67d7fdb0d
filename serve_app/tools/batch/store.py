"""Files by address: of this machine, or of a bucket."""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from serve_app.errors import ConfigError
from serve_app.redact import redacted
from serve_app.runtimes.base import need

_ARROW = ("s3", "gs", "gcs", "hdfs", "viewfs")  # of the others fsspec knows some


class File(NamedTuple):
    """What is at a path of a file system, and what tells whether it is still the same."""

    path: str
    size: int
    changed: int  # nanoseconds


def filesystem(uri: str) -> tuple[Any, str]:
    """The file system of an address, and the path there. ConfigError for one that can't be reached."""
    fs = need("pyarrow.fs", "batch")
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return fs.LocalFileSystem(), os.path.abspath(uri)
    if scheme == "file":
        return fs.LocalFileSystem(), unquote(urlsplit(uri).path)
    try:
        if scheme in _ARROW:
            found: tuple[Any, str] = fs.FileSystem.from_uri(
                f"{scheme}://{quote(rest, safe='/@:?=&%+,')}"
            )
            return found
        known, path = need("fsspec.core", "batch").url_to_fs(uri)
        return fs.PyFileSystem(fs.FSSpecHandler(known)), path
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(redacted(f"{uri}: {error}")) from None


def is_local(uri: str) -> bool:
    """Whether it is a path of each machine's own."""
    return "://" not in uri or uri.startswith("file://")


def listed(uri: str) -> list[File]:
    """The file at an address, those below a folder, or those that a pattern names; by path.

    Names that begin with `_` or `.` are left out of folders, as everybody does.
    """
    folder, pattern = _split(uri)
    fs, top = filesystem(folder)
    about = need("pyarrow.fs", "batch")
    try:
        found = fs.get_file_info(top)
        if found.type == about.FileType.NotFound:
            raise ConfigError(redacted(f"{uri}: no such file or folder"))
        if found.type == about.FileType.File:
            infos = [found]
        else:
            infos = fs.get_file_info(about.FileSelector(top, recursive=True))
    except OSError as error:
        raise ConfigError(redacted(f"{uri}: {error}")) from None
    files = [
        File(one.path, one.size, one.mtime_ns or 0)
        for one in infos
        if one.is_file and (one.path == top or not _hidden(one.path[len(top) :]))
    ]
    wanted = re.compile(_regex(f"{top.rstrip('/')}/{pattern}")) if pattern else None
    chosen = [one for one in files if wanted is None or wanted.fullmatch(one.path)]
    if not chosen:
        raise ConfigError(redacted(f"{uri}: no file there"))
    return sorted(chosen)


def _split(uri: str) -> tuple[str, str]:
    """The folder above a pattern, and the pattern below it. In a bucket's address `?` begins options."""
    signs = "*?[" if is_local(uri) else "*["
    parts = uri.split("/")
    wild = next((at for at, part in enumerate(parts) if any(sign in part for sign in signs)), len(parts))
    return "/".join(parts[:wild]) or ("/" if uri.startswith("/") else "."), "/".join(parts[wild:])


def _regex(pattern: str) -> str:
    """`*` stays within a folder, `**` doesn't."""
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(signs.get(one, one if one.startswith("[") else re.escape(one)) for one in parts)


def _hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in Path(path).parts)


class Store:
    """A folder that is written to. What stands in it is whole, whenever the writer is killed."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._fs, self._root = filesystem(uri)
        self._local = is_local(uri)

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def write(self, name: str, data: bytes) -> None:
        """Put a file there at once: a bucket shows what is complete, a disk what was renamed."""
        final = self._at(name)
        if not self._local:
            with self._fs.open_output_stream(final) as out:
                out.write(data)
            return
        work = Path(self._at("_work"))
        work.mkdir(parents=True, exist_ok=True)
        Path(final).parent.mkdir(parents=True, exist_ok=True)
        part = work / uuid.uuid4().hex
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(final)

    def read(self, name: str) -> bytes | None:
        """A file's content; None when there is none."""
        try:
            with self._fs.open_input_file(self._at(name)) as source:
                found: bytes = source.read()
                return found
        except FileNotFoundError:
            return None

    def names(self, folder: str = "") -> Iterator[str]:
        """The names of the files in one of its folders."""
        fs = need("pyarrow.fs", "batch")
        where = self._at(folder) if folder else self._root
        for one in self._fs.get_file_info(fs.FileSelector(where, allow_not_found=True)):
            if one.is_file:
                yield one.base_name

    def drop(self, name: str) -> None:
        """A file, if it is there."""
        fs = need("pyarrow.fs", "batch")
        if self._fs.get_file_info(self._at(name)).type == fs.FileType.File:
            self._fs.delete_file(self._at(name))

    def drop_folder(self, name: str) -> None:
        """One of its folders and all that is in it, if it is there."""
        fs = need("pyarrow.fs", "batch")
        if self._fs.get_file_info(self._at(name)).type == fs.FileType.Directory:
            # Google's has no object for the folder itself, and says so when all else is gone.
            with contextlib.suppress(FileNotFoundError):
                self._fs.delete_dir(self._at(name))
