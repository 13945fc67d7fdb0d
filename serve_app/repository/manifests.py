"""What lies in a store, as it is fetched: files, and by what they are known and checked. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from serve_app.errors import ConfigError

UNKNOWN = -1  # a size that the store doesn't tell
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_LONGEST_NAME = 255  # bytes, on any disk


@dataclass(frozen=True)
class RemoteFile:
    """`path`: below the folder, with /. `tag`: another one when the content is another.

    `checksum`: as the listing has it (`checksums`), '' where the store has to be asked.
    """

    path: str
    size: int
    tag: str
    checksum: str = ""


@dataclass(frozen=True)
class Manifest:
    """A folder in a store: one version, or a model that is its own. `where`: without credentials.

    `host`: whose store that is, where the address doesn't say.
    """

    where: str
    folder: str
    files: tuple[RemoteFile, ...]
    host: str = ""

    @cached_property
    def key(self) -> str:
        """By which the cache knows this content."""
        said = [
            self.host,
            self.where,
            self.folder,
            [(one.path, one.size, one.tag) for one in self.files],
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:40]

    @property
    def name(self) -> str:
        """Its address, for people."""
        return f"{self.where}/{self.folder}" if self.folder else self.where

    @property
    def size(self) -> int:
        """Bytes, as far as they are known."""
        return sum(max(one.size, 0) for one in self.files)

    @property
    def archive(self) -> str:
        """Its one file, where that has to be unpacked; else ''."""
        names = [one.path for one in self.files]
        return names[0] if len(names) == 1 and names[0].lower().endswith(ARCHIVES) else ""


def manifest(where: str, folder: str, files: Iterable[RemoteFile], host: str = "") -> Manifest:
    """Of these; ConfigError where they can't be files below one folder."""
    found = tuple(sorted(files, key=lambda one: one.path))
    if not found:
        raise ConfigError(f"{where}{'/' if folder else ''}{folder} holds no files")
    for one in found:
        safe(one.path)
    both = {one.path for one in found} & {above for one in found for above in _above(one.path)}
    for path in both:
        raise ConfigError(f"{where}: '{path}' is a file and a folder at once")
    return Manifest(where, folder, found, host)


def safe(path: str) -> str:
    """`path`, if a file below a folder can be called that."""
    steps = path.split("/")
    if (
        any(
            step in ("", ".", "..") or len(step.encode(errors="replace")) > _LONGEST_NAME
            for step in steps
        )
        or "\0" in path
        or len(path) > 2048
    ):
        raise ConfigError(f"a file can't be called {json.dumps(path[:200])}")
    return path


def _above(path: str) -> Iterator[str]:
    while (path := path.rpartition("/")[0]) != "":
        yield path


def digest(files: Iterable[tuple[str, str]]) -> str:
    """Of (path, SHA-256): of one file its own, of several what `sha256sum` of its lines for them is."""
    found = sorted(files)
    if len(found) == 1:
        return found[0][1]
    return hashlib.sha256("".join(f"{sha}  {path}\n" for path, sha in found).encode()).hexdigest()
