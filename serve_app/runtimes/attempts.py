"""Loads that ended their process, of memory or a crash: the next process finds what they left behind.

Without this a version that can't be loaded would take a Router, with everything that it serves, down
again and again.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from serve_app.errors import ConfigError
from serve_app.private import private

MOST = 3  # processes that may end while they load the same files
FOR_S = 600.0  # so long that counts


def _folder() -> Path:
    """Of this user's processes on this machine."""
    return Path(tempfile.gettempdir()) / f"tandem-{os.getuid()}-loads"


@contextlib.contextmanager
def attempt(what: object) -> Iterator[None]:
    """Around a load of `what`; ConfigError where that has ended too many processes."""
    folder = _folder()
    try:
        ours = private(folder)
    except OSError:
        ours = False
    if not ours:  # no place for it, or others could say what ended
        yield
        return
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:32]
    if (ended := len(list(_ended(folder, key)))) >= MOST:
        # Nothing that passes by itself: the next try could end this process, with all that it serves.
        raise ConfigError(
            f"{ended} processes ended while they loaded it, the last of them less than "
            f"{FOR_S / 60:g} minutes ago; it is tried again then, or with other files"
        )
    mine = folder / f"{key}-{os.getpid()}"
    with contextlib.suppress(OSError):  # a full disk
        mine.touch()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            mine.unlink()
    for left in _ended(folder, key):
        with contextlib.suppress(OSError):
            left.unlink()


def _ended(folder: Path, key: str) -> Iterator[Path]:
    """What processes left that aren't there any more; what is old is forgotten."""
    try:
        names = os.listdir(folder)  # a pattern of each key would be compiled anew
    except OSError:  # whoever tidies up took it away
        return
    for name in names:
        if not name.startswith(f"{key}-"):
            continue
        one = folder / name
        with contextlib.suppress(OSError):
            if time.time() - one.stat().st_mtime > FOR_S:
                one.unlink()
            elif not psutil.pid_exists(int(one.name.rpartition("-")[2])):
                yield one
