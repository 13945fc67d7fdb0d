"""The node's cache: one folder that all processes of a machine share.

    entries/KEY/files   whole and verified, put there by a rename
    partial/KEY/files   being fetched, or left by who died, and gone on with
    locks/KEY           held alone by who fetches, together by those that use it, by nobody else
    lock                held while room is made

What may be thrown away is what nobody holds; the system lets go for a process that dies.
"""

import contextlib
import logging
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from serve_app.repository import entries, rooms
from serve_app.repository.locks import FileLock
from serve_app.repository.progress import Progress, amount
from serve_app.repository.reasons import Full, GivenUp, Later

log = logging.getLogger("tandem")

UNUSED_S = 30 * 24 * 3600.0  # then an entry goes, whether or not there is room
_BROKEN_S = 5.0
_RESERVED = "reserved"


class Entry:
    """One that is used: its files stay until `release`."""

    def __init__(self, key: str, folder: Path, about: entries.About, lock: FileLock) -> None:
        self.key, self.folder, self.about = key, folder / entries.FILES, about
        self._lock = lock

    def release(self) -> None:
        """Its files may go from now on."""
        self._lock.release()


class Work:
    """A place where an entry is made: `folder` for its files; what was left there is gone on with."""

    def __init__(self, cache: "NodeCache", key: str, stop: threading.Event) -> None:
        self._cache, self._key, self._stop = cache, key, stop
        self._at = cache.root / "partial" / key
        self.folder = self._at / entries.FILES

    def reserve(self, size: int) -> None:
        """Let there be room for so many bytes in all; Full where there can't be."""
        self._cache.make_room(self._key, size, self._stop)

    def drop(self) -> None:
        """Begin anew; the room is given back."""
        shutil.rmtree(self._at, ignore_errors=True)


# Puts the files into `folder`, and says their SHA-256s by path.
Make = Callable[[Work], Mapping[str, str]]


class NodeCache:
    """In `root`, with at most `limit` bytes; None: as many as the disk takes."""

    def __init__(self, root: Path | None = None, limit: int | None = None) -> None:
        self.root = root or rooms.folder()
        self.limit = limit if root else rooms.limit()
        for name in ("entries", "partial", "locks", "gone"):
            (self.root / name).mkdir(mode=0o700, exist_ok=True)

    def entry(
        self, key: str, source: str, make: Make, progress: Progress, stop: threading.Event
    ) -> Entry:
        """The entry, in use; made by `make` where there is none, by one process however many ask."""
        broken: float | None = None
        while not stop.is_set():
            found = self._shared(key)
            if isinstance(found, Entry):
                return found
            broken = (broken or time.monotonic()) if found else None
            lock = FileLock(self.root / "locks" / key)
            if lock.take():
                try:
                    made = self._made(key, source, make, lock, stop)
                except BaseException:
                    lock.release()
                    raise
                if made is not None:
                    return made
                continue
            if broken is not None and time.monotonic() - broken > _BROKEN_S:
                raise Later(
                    f"its files in the cache ({self.root / 'entries' / key}) were changed, while other "
                    "processes use them; they are fetched anew when those have ended"
                )
            progress.at(max(progress.done, _bytes_in(self.root / "partial" / key)))
            stop.wait(random.uniform(0.05, 0.15))  # noqa: S311  # so that two don't keep step
        raise GivenUp

    def there(self, key: str) -> Entry | None:
        """The entry, in use, if it is there and whole."""
        found = self._shared(key)
        return found if isinstance(found, Entry) else None

    def _shared(self, key: str) -> Entry | bool:
        """The entry, in use; whether there is one that isn't whole, and that nobody holds alone."""
        at, lock = self.root / "entries" / key, FileLock(self.root / "locks" / key)
        if not at.is_dir() or not lock.take(shared=True):
            return False
        about = entries.verified(at)
        if about is None:
            lock.release()
            return at.is_dir()
        with contextlib.suppress(OSError):
            os.utime(at)  # used last
        return Entry(key, at, about, lock)

    def _made(
        self, key: str, source: str, make: Make, lock: FileLock, stop: threading.Event
    ) -> Entry | None:
        """By who holds `lock` alone; None where another took it before it was held with others."""
        at = self.root / "entries" / key
        about = entries.verified(at)
        if about is None:
            if at.exists():
                log.warning("%s: its files in the cache aren't what was fetched; fetched anew", source)
                self._throw_away(at)
            work = Work(self, key, stop)
            work.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                sums = make(work)
                about = entries.write(work.folder.parent, source, sums)
            except Full:
                work.drop()  # others may want the room
                raise
            (work.folder.parent / _RESERVED).unlink(missing_ok=True)
            work.folder.parent.rename(at)
        with FileLock(self.root / "lock") as guard:  # between the two locks nobody throws it away
            guard.wait(stop)
            os.utime(at)
            return Entry(key, at, about, lock) if lock.take(shared=True) else None

    def make_room(self, key: str, size: int, stop: threading.Event) -> None:
        """So that the entry that is made has room for `size` bytes; throws away what is used least.

        Nothing, where that wouldn't be enough.
        """
        mine = self.root / "partial" / key
        with FileLock(self.root / "lock") as guard, contextlib.ExitStack() as locks:
            guard.wait(stop)
            for left in (self.root / "gone").iterdir():  # by one who died
                shutil.rmtree(left, ignore_errors=True)
            others = {at: _size(at) for at in self._all() if at != mine}
            over = size + sum(others.values()) - self.limit if self.limit is not None else 0
            # Less is missing on the disk where some of it is there already.
            missing = size - _bytes_in(mine) - shutil.disk_usage(self.root).free
            going = []
            for at in sorted(others, key=_used_last):
                if over <= 0 and missing <= 0 and time.time() - _used_last(at) < UNUSED_S:
                    break
                lock = locks.enter_context(FileLock(self.root / "locks" / at.name))
                if lock.take():  # neither in use nor being fetched
                    going.append((at, lock))
                    over, missing = over - others[at], missing - _bytes_in(at)
            if over > 0 or missing > 0:
                self._refuse(size, over)
            for at, lock in going:
                self._drop(at, lock)
            mine.mkdir(mode=0o700, parents=True, exist_ok=True)
            (mine / _RESERVED).write_text(str(size))

    def _refuse(self, size: int, over: int) -> None:
        if self.limit is not None and over > 0:
            raise Full(
                f"{amount(size)} are needed in the cache of models, which holds {amount(self.limit)} "
                f"({rooms.LIMIT_VARIABLE}) and lacks {amount(over)}: the rest of it is in use"
            )
        free = shutil.disk_usage(self.root).free
        raise Full(
            f"{amount(size)} are needed in the cache of models, and the disk of {self.root} has "
            f"{amount(free)} free"
        )

    def _all(self) -> list[Path]:
        return [at for name in ("entries", "partial") for at in (self.root / name).iterdir()]

    def _drop(self, at: Path, lock: FileLock) -> None:
        self._throw_away(at)
        other = self.root / ("partial" if at.parent.name == "entries" else "entries") / at.name
        if not other.exists():
            lock.remove()

    def _throw_away(self, at: Path) -> None:
        gone = self.root / "gone" / f"{at.name}-{os.getpid()}-{time.monotonic_ns()}"
        at.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _size(at: Path) -> int:
    """What an entry takes; of one that is made, what was reserved for it."""
    about = entries.read(at)
    if about is not None:
        return about.size
    try:
        return max(int((at / _RESERVED).read_text()), _bytes_in(at))
    except (OSError, ValueError):
        return _bytes_in(at)


def _used_last(at: Path) -> float:
    try:
        return at.stat().st_mtime
    except OSError:
        return 0.0


def _bytes_in(folder: Path) -> int:
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_size
    return total
