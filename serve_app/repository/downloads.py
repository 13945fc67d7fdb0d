"""The files of a manifest, fetched into a folder: gone on with after a cut, and checked."""

import errno
import logging
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

from serve_app.errors import ConfigError
from serve_app.file_systems import QUIET_S
from serve_app.repository.cache import Work
from serve_app.repository.checksums import Hashes
from serve_app.repository.manifests import UNKNOWN, Manifest, RemoteFile
from serve_app.repository.progress import Progress
from serve_app.repository.reasons import Full, GivenUp, Restart, Unreachable, first_line, lasting
from serve_app.repository.stores import Store

log = logging.getLogger("tandem")

AT_ONCE = 4  # files
TRIES = 6  # in a row that bring nothing
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STEP = 64 * 2**20  # bytes by which room is asked for, where nobody says how many come


class _Wrong(Exception):
    """What came isn't the file."""


class _InVain:
    """Tries in a row that brought nothing."""

    def __init__(self) -> None:
        self.tries, self._since = 0, time.monotonic()

    def too_often(self) -> str:
        """Not '' where that is enough."""
        quiet = time.monotonic() - self._since
        if self.tries < TRIES and quiet < 2 * QUIET_S:
            return ""
        return f"{self.tries} times in a row" if self.tries > 1 else f"{quiet:.0f} s long"


class Download:
    """One manifest's, from its store to a place in the cache."""

    def __init__(
        self, store: Store, wanted: Manifest, work: Work, progress: Progress, stop: threading.Event
    ) -> None:
        self._store, self._wanted, self._work = store, wanted, work
        self._progress, self._stop = progress, stop
        self._failed = threading.Event()
        self._here: dict[str, int] = {}  # bytes, by file
        self._noting = threading.Lock()

    def run(self) -> dict[str, str]:
        """All of them; SHA-256 by path. ConfigError says which can't be had, and why."""
        self._work.reserve(self._wanted.size)
        with ThreadPoolExecutor(AT_ONCE, "fetch") as pool:
            work = {one.path: pool.submit(self._file, one) for one in self._wanted.files}
            wait(work.values(), return_when=FIRST_EXCEPTION)
            self._failed.set()  # where all went well nobody is left to hear it
        errors = [error for one in work.values() if (error := one.exception())]
        for error in sorted(
            errors, key=lambda one: isinstance(one, GivenUp)
        ):  # those say nothing of why
            raise error
        return {path: one.result() for path, one in work.items()}

    def _file(self, file: RemoteFile) -> str:
        to = self._work.folder / file.path
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = self._told(file)
        in_vain, wrong, full, most = _InVain(), 0, False, _length(to)
        while True:
            try:
                return self._try(file, to, told)
            except Restart:
                to.unlink()
            except _Wrong as error:
                to.unlink()
                wrong += 1
                log.warning("%s: %s", self._progress.what, error)
                if wrong > 1:
                    raise ConfigError(str(error)) from None
            except ConfigError:
                raise
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _FULL:
                    if full and _length(to) <= most:
                        raise Full(
                            f"the disk of the cache of models is full: {error.strerror}"
                        ) from None
                    full, most = True, max(most, _length(to))
                    self._work.reserve(self._wanted.size)  # where the disk lacks it, others go
                    continue
                if _length(to) > most:
                    in_vain = _InVain()
                else:
                    in_vain.tries += 1
                most = max(most, _length(to))
                self._pause(error, in_vain, file.path)

    def _told(self, file: RemoteFile) -> str:
        in_vain = _InVain()
        while True:
            try:
                return file.checksum or self._store.told(file, self._wanted.folder)
            except ConfigError:
                raise
            except Exception as error:
                in_vain.tries += 1
                self._pause(error, in_vain, file.path)

    def _pause(self, error: Exception, in_vain: "_InVain", what: str) -> None:
        """Before the next try; raises where that would be in vain."""
        if why := lasting(error):
            raise type(why)(f"{what}: {why}") from error
        if said := in_vain.too_often():
            raise Unreachable(f"{what}: {first_line(error)}, {said}") from error
        log.warning("%s: %s: %s; it goes on", self._progress.what, what, first_line(error))
        if self._stop.wait(min(FIRST_PAUSE_S * 2**in_vain.tries, LONGEST_PAUSE_S)):
            raise GivenUp

    def _try(self, file: RemoteFile, to: Path, told: str) -> str:
        """From where it was left to its end."""
        hashes, start = Hashes(told, file.size), _length(to)
        if start and start > file.size:  # of one whose size isn't known, too
            to.unlink()
            start = 0
        if start:
            hashes.feed(to)
        if start != file.size or not file.size:
            with to.open("ab") as out:
                self._pour(file, start, out, hashes)
        came = _length(to)
        if came < file.size:
            raise ConnectionError(f"the connection ended after {came} of {file.size} bytes")
        if hashes.wrong:
            raise _Wrong(f"{file.path}: {hashes.wrong}")
        return hashes.sha256

    def _pour(self, file: RemoteFile, start: int, out: IO[bytes], hashes: Hashes) -> None:
        here, room = start, _STEP
        self._note(file, here)
        if file.size == 0:
            return
        for piece in self._store.read(file, self._wanted.folder, start):
            if self._stop.is_set() or self._failed.is_set():
                raise GivenUp
            here += len(piece)
            if file.size == UNKNOWN:
                while here > room:
                    room += _STEP
                    self._work.reserve(self._wanted.size + room)
            elif here > file.size:
                raise _Wrong(f"{file.path}: more than the {file.size} bytes that its store said")
            out.write(piece)
            hashes.update(piece)
            self._note(file, here)

    def _note(self, file: RemoteFile, here: int) -> None:
        with self._noting:
            self._here[file.path] = here
            self._progress.at(sum(self._here.values()))


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
