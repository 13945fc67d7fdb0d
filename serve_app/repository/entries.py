"""An entry of the node's cache on disk: files, and what was noted of them when they were published."""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from serve_app.redact import redacted
from serve_app.repository.checksums import sha256_of
from serve_app.repository.manifests import digest

_KEY = re.compile(r"[0-9a-f]{40}")
FILES, ABOUT = "files", "entry.json"
# A file's: size, last change of content and of anything, number on its disk.
Mark = tuple[int, int, int, int]


@dataclass(frozen=True)
class About:
    """`files`: SHA-256 and mark by path. `boot`: of which start of the machine the marks are: what
    lies in memory alone when it goes down may be lost, and nothing tells."""

    source: str
    size: int
    files: Mapping[str, tuple[str, Mark]]
    boot: str

    @property
    def checksum(self) -> str:
        """Of all the files (`manifests.digest`)."""
        return digest((path, sha) for path, (sha, _) in self.files.items())


def write(folder: Path, source: str, sums: Mapping[str, str]) -> About:
    """Note what lies in `folder`/files, whose checksums are known; the files are read-only then."""
    files = {}
    for path, sha in sums.items():
        file = folder / FILES / path
        file.chmod(0o400)
        files[path] = (sha, mark(file))
    about = About(redacted(source), sum(one[1][0] for one in files.values()), files, boot())
    _put(folder, about)
    return about


def read(folder: Path) -> About | None:
    """What was noted; None where nothing was, or nothing that can be read."""
    try:
        said = json.loads((folder / ABOUT).read_bytes())
        files = {path: (str(sha), _mark(of)) for path, (sha, of) in said["files"].items()}
        return About(str(said["source"]), int(said["size"]), files, str(said["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def verified(folder: Path) -> About | None:
    """What was noted, if the files are still that.

    Their marks say so. Where these are others (the machine was started anew, a disk was copied) the
    files are read, and new marks are noted. None where a file isn't what it was.
    """
    about = read(folder)
    if about is None:
        return None
    try:
        now = {path: mark(folder / FILES / path) for path in about.files}
        if about.boot == boot() and all(now[path] == was for path, (_, was) in about.files.items()):
            return about
        for path, (sha, was) in about.files.items():
            if now[path][0] != was[0] or sha256_of(folder / FILES / path) != sha:
                return None
    except OSError:
        return None
    about = About(
        about.source, about.size, {p: (sha, now[p]) for p, (sha, _) in about.files.items()}, boot()
    )
    _put(folder, about)
    return about


def mark(file: Path) -> Mark:
    """Another one when the file is changed or replaced, even by one who puts its times back."""
    of = file.stat(follow_symlinks=False)
    return of.st_size, of.st_mtime_ns, of.st_ctime_ns, of.st_ino


def pin(folder: Path) -> str:
    """The key of the entry in which a folder lies; '' where it isn't in a cache."""
    parts = folder.parts
    for at in range(len(parts) - 2):
        if (parts[at], parts[at + 2]) == ("entries", FILES) and _KEY.fullmatch(parts[at + 1]):
            return parts[at + 1]
    return ""


def boot() -> str:
    """Of which start of the machine this is."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _mark(said: object) -> Mark:
    assert isinstance(said, list)
    size, changed, any_change, number = map(int, said)
    return size, changed, any_change, number


def _put(folder: Path, about: About) -> None:
    new = folder / f"{ABOUT}.{os.getpid()}-{time.monotonic_ns()}"
    new.write_text(json.dumps(asdict(about)))
    new.replace(folder / ABOUT)
