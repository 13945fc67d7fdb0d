"""How far it is, and how long it will still take: a bar on a terminal, else a line per step."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class Steps:
    """Counts expected seconds; what steps really took corrects what is left."""

    def __init__(self, expected: float, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._expected, self._passed = max(expected, 1e-9), 0.0
        self._began = time.monotonic()
        self.interrupted = False
        self._bar = Progress(
            BarColumn(30), TextColumn("{task.fields[left]}  {task.description}"), console=self._console
        )
        self._task = self._bar.add_task("", total=self._expected, left=minutes(self._expected))

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def left(self) -> float:
        """Seconds, as the steps until now let expect."""
        spent = time.monotonic() - self._began
        # Until a twentieth is through, what was expected says more than what was seen.
        pace = spent / self._passed if self._passed > self._expected / 20 else 1.0
        return max(0.0, self._expected - self._passed) * pace

    def begin(self, what: str) -> None:
        """Say what comes now; KeyboardInterrupt when there was one that got lost on the way.

        What a signal raises inside of a callback of the interpreter's own, nobody sees.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        if self._console.is_terminal:
            self._bar.update(self._task, description=what, left=f"{minutes(self.left)} left")
        else:
            self._console.print(f"[{minutes(self.left)} left] {what}", markup=False, highlight=False)

    def done(self, expected: float) -> None:
        """A step that was expected to take so long is through, or won't come."""
        self._passed += expected
        self._bar.update(self._task, completed=self._passed, left=f"{minutes(self.left)} left")

    def say(self, text: str) -> None:
        """Something that stays on the screen."""
        self._console.print(text, markup=False, highlight=False)


def minutes(seconds: float) -> str:
    """`3:07`, or `1:02:30` from an hour on."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
