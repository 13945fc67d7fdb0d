"""A program with everything that it starts: begun, asked to end, killed."""

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


class Process:
    """One program, in a session of its own. Nothing runs before `start`."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Run it, and don't wait. What it prints goes to the end of the log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=env,
            )

    @property
    def began(self) -> bool:
        """Whether it was started."""
        return self._process is not None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """SIGTERM, to the program alone."""
        if self.alive and self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, to it and to everything below it."""
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                process.kill()

    @property
    def pids(self) -> list[int]:
        """Its own and those below it."""
        return [process.pid for process in self._family()]

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []
