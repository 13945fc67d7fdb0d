"""What is left when a launcher is killed before it can clean up: ended, and its folder removed.

A process apart, in a session of its own, so that no signal for the launcher's group finds it. It costs
nothing while it waits: it hears of the launcher's end by the end of a pipe that the launcher holds.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from serve_app.processes import killed

MARK = "TANDEM_LAUNCH"  # the variable that all processes of one launch have
_GRACE_S = 2.0


@contextlib.contextmanager
def own_folder(prefix: str, within: str) -> Iterator[Path]:
    """A new folder, its owner's alone. It is gone at the end, however that comes, and so is whatever
    this process and the children that it forks have started.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    _guarded(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _guarded(folder: Path) -> None:
    os.environ[MARK] = mark = uuid.uuid4().hex
    ended, _held = os.pipe()  # the other end is held, on purpose, for as long as the process lives
    if between := os.fork():
        os.close(ended)
        os.waitpid(between, 0)
        return
    # Forked again, it is nobody's child, and nobody that sweeps its children finds it.
    if os.fork():
        os._exit(0)
    try:
        os.setsid()
        os.close(_held)
        _deaf()
        os.read(ended, 1)
        sweep(mark, folder)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)


def sweep(mark: str, folder: Path) -> list[str]:
    """End every process that has the mark or a file of `folder` open, and what these start meanwhile.

    Says what had to be killed.
    """
    others = (one for one in psutil.process_iter() if one.pid != os.getpid())
    found = [one for one in others if _marked(one, mark) or _writes_into(one, folder)]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    left = killed(found, _GRACE_S if found else 0)
    return left + (sweep(mark, folder) if found else [])


def _marked(process: psutil.Process, mark: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        there = process.environ().get(MARK) == mark
        return there and bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _writes_into(process: psutil.Process, folder: Path) -> bool:
    """Ray's agents and workers have put their titles where their variables were, and have logs there."""
    with contextlib.suppress(psutil.Error, OSError):
        return any(Path(one.path).is_relative_to(folder) for one in process.open_files())
    return False


def _deaf() -> None:
    """To signals that are meant for others, and holding nothing that others wait for the end of."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
