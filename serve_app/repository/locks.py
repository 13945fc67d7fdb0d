"""Locks between processes, on files: the system frees those of a process that dies."""

import fcntl
import os
import threading
from pathlib import Path

from serve_app.repository.reasons import GivenUp

LOOK_S = 0.05


class FileLock:
    """One holder's. Not for several threads at once; others make one of their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self, shared: bool = False) -> bool:
        """Hold it, if that can be now; held already, it is changed, and may be lost between."""
        while True:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                return False
            if self._still():
                return True
            self.release()  # of a file that was removed meanwhile: others hold a new one

    def wait(self, stop: threading.Event) -> None:
        """Hold it alone, whenever that can be; GivenUp when `stop` comes first."""
        while not self.take():
            if stop.wait(LOOK_S):
                raise GivenUp

    def remove(self) -> None:
        """Held alone: the file goes, and the lock with it."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Let it go; does nothing when it isn't held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _still(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        return there.st_ino == os.fstat(self._fd).st_ino

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
