"""Programs that are started, waited for, and ended with everything that they started."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

Found = TypeVar("Found")
_TAIL = 4000
_GRACE_S = 2.0  # from the end of the first process to that of what it started


class NotReadyError(RuntimeError):
    """A program ended, or took too long; the message has the end of its log."""


class Program:
    """A program in a session of its own, what it prints in `log`. Nothing runs before `start`.

    `env` is added to this process's environment, or is all there is (`inherit` False).
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] = {},
        inherit: bool = True,
    ) -> None:
        self.command, self.log = list(command), log
        outside = os.environ if inherit else {}
        self._cwd, self._env = cwd, {"PYTHONUNBUFFERED": "1", **outside, **env}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, and don't wait. Ctrl-C is for who started it, not for the program."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self.command,
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, ready: Callable[[], Found], seconds: float, what: str, pause: float = 0.2) -> Found:
        """What `ready` says as soon as that is true; NotReadyError names `what` when it doesn't come."""
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            if not self.alive:
                raise NotReadyError(f"{what}: it ended with {self.exit_code}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise NotReadyError(f"{what}: not within {seconds:g} s\n{self.tail()}")
            time.sleep(pause)
        return found

    def stop(self, seconds: float = 30) -> list[str]:
        """SIGTERM; what is left `seconds` later, or outlives it, is killed. Says what that was."""
        if self._process is None:
            return []
        known, left = self.family(), []
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                left = [_described(psutil.Process(self.pid))]
                self._process.kill()
        self._process.wait()  # not psutil's: the exit code would be lost to it
        return left + killed((one for one in {*known, *self.family()} if one.pid != self.pid), _GRACE_S)

    def terminate(self) -> None:
        """SIGTERM, to its first process alone."""
        if self.alive and self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, to all its processes."""
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                process.kill()

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its first process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of its first process; None while it runs, and before."""
        return None if self._process is None else self._process.poll()

    def family(self) -> list[psutil.Process]:
        """Its processes, as of now."""
        return [] if self._process is None else family(self._process.pid)

    def text(self) -> str:
        """Everything that it has printed."""
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        """The end of that."""
        return self.text()[-_TAIL:]


def family(pid: int) -> list[psutil.Process]:
    """A process, what descends from it, and what has lost its parents but is of the session `pid`."""
    found: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(pid)
        found = {one.pid: one for one in (first, *first.children(recursive=True))}
    for other in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            if other not in found and os.getsid(other) == pid:
                process = psutil.Process(other)
                if not _dead(process):
                    found[other] = process
    return [*found.values()]


def killed(processes: Iterable[psutil.Process], seconds: float) -> list[str]:
    """Kill, by its pid, each that runs `seconds` later: what they were."""
    _, left_over = psutil.wait_procs([*processes], timeout=seconds)
    alive = [process for process in left_over if not _dead(process)]
    left = [_described(process) for process in alive]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    return left


def _dead(process: psutil.Process) -> bool:
    """Also where nobody takes note: a container's first process may not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


def _described(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    return str(process.pid)
