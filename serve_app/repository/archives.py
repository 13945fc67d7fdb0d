"""An archive's files, put below a folder: nothing lands elsewhere, and no more than was promised."""

import posixpath
import shutil
import stat
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from serve_app.errors import ConfigError
from serve_app.repository.checksums import Hashes
from serve_app.repository.manifests import safe
from serve_app.repository.reasons import GivenUp

# What an archive may hold: weights hardly get smaller when they are packed.
MOST_FILES = 100_000
_GROWTH, _ALWAYS = 100, 2**30
_PIECE = 2**20
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class _Member:
    """A file, or a link to one, by the path of that."""

    path: str
    size: int
    link: str = ""


def unpack(
    archive: Path, folder: Path, reserve: Callable[[int], None], stop: threading.Event
) -> dict[str, str]:
    """Into `folder`, which is empty; SHA-256 by path. `reserve` hears how many bytes it will have.

    Looked at twice: nothing is written before all of it was seen. ConfigError says what is wrong.
    """
    try:
        members = list(_seen(archive, stop))
        files = {one.path: one for one in members if not one.link}
        _no_two(members)
        reserve(sum(one.size for one in files.values()))
        sums = {}
        for path, source in _contents(archive):
            sums[path] = _write(source, folder / path, files[path].size, stop)
        for one in members:
            if one.link:
                sums[one.path] = _linked(one, folder, sums)
        return sums
    except _BROKEN as error:
        raise ConfigError(f"the archive can't be read: {type(error).__name__}: {error}") from None


def _seen(archive: Path, stop: threading.Event) -> Iterator[_Member]:
    """Its files and links; ConfigError for what doesn't belong into one."""
    most = max(_ALWAYS, archive.stat().st_size * _GROWTH)
    total = 0
    for count, one in enumerate(_members(archive), 1):
        if stop.is_set():
            raise GivenUp
        total += one.size
        if total > most:
            raise ConfigError(f"the archive grows to more than {_GROWTH} times its size")
        if count > MOST_FILES:
            raise ConfigError(f"the archive holds more than {MOST_FILES} files")
        yield one


def _members(archive: Path) -> Iterator[_Member]:
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise ConfigError(f"'{info.filename}' in the archive is neither file nor folder")
                if info.flag_bits & 1:
                    raise ConfigError(f"'{info.filename}' in the archive is encrypted")
                path = _inside(info.filename)
                if not info.is_dir():
                    yield _Member(path, info.file_size)
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            path = _inside(member.name)
            if member.isreg():
                yield _Member(path, member.size)
            elif member.issym() or member.islnk():
                above = posixpath.dirname(path) if member.issym() else ""
                yield _Member(path, 0, _target(member, above))
            elif not member.isdir():
                raise ConfigError(f"'{member.name}' in the archive is neither file nor folder")


def _inside(name: str) -> str:
    """The path below the folder."""
    steps = name.rstrip("/").split("/")
    while steps and steps[0] == ".":  # as `tar c .` writes them
        steps = steps[1:]
    if not steps:
        return "."
    try:
        return safe("/".join(steps))
    except ConfigError as error:
        raise ConfigError(f"the archive leads out of its folder: {error}") from None


def _target(member: tarfile.TarInfo, above: str) -> str:
    found = posixpath.normpath(posixpath.join(above, member.linkname))
    if found.startswith(("/", "../")) or found == "..":
        raise ConfigError(
            f"the archive leads out of its folder: '{member.name}' is a link to '{member.linkname}'"
        )
    return found


def _no_two(members: list[_Member]) -> None:
    paths = set[str]()
    for one in members:
        if one.path in paths:
            raise ConfigError(f"the archive holds '{one.path}' twice")
        paths.add(one.path)
    for path in paths:
        above = posixpath.dirname(path)
        while above:
            if above in paths:
                raise ConfigError(f"'{above}' in the archive is a file and a folder at once")
            above = posixpath.dirname(above)


def _contents(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with ExitStack() as stack:
        if archive.name.lower().endswith(".zip"):
            zipped = stack.enter_context(zipfile.ZipFile(archive))
            for info in zipped.infolist():
                if not info.is_dir():
                    with zipped.open(info) as source:
                        yield _inside(info.filename), source
            return
        tar = stack.enter_context(tarfile.open(archive))
        for member in tar:
            if member.isreg() and (data := tar.extractfile(member)) is not None:
                yield _inside(member.name), data


def _write(source: IO[bytes], to: Path, size: int, stop: threading.Event) -> str:
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hashes, left = Hashes(), size
    with to.open("xb") as out:
        while piece := source.read(_PIECE):
            if stop.is_set():
                raise GivenUp
            left -= len(piece)
            if left < 0:
                raise ConfigError(f"'{to.name}' in the archive is larger than the archive says")
            out.write(piece)
            hashes.update(piece)
    if left:
        raise ConfigError(f"'{to.name}' in the archive is smaller than the archive says")
    return hashes.sha256


def _linked(one: _Member, folder: Path, sums: dict[str, str]) -> str:
    """A link as a second name of the file itself."""
    if one.link not in sums:
        raise ConfigError(
            f"'{one.path}' in the archive is a link to '{one.link}', which is no file in it"
        )
    to = folder / one.path
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        to.hardlink_to(folder / one.link)
    except OSError:  # a disk without them
        shutil.copyfile(folder / one.link, to)
    return sums[one.link]
