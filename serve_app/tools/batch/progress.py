"""How far a job is: a bar where somebody looks, a line now and then elsewhere."""

import sys
import time
from typing import TextIO

from serve_app.tools.batch.job import Counts

_EVERY_S = 10  # where it goes into a log
_WIDTH = 30


class Progress:
    """Of `total` rows; `before`: of an earlier run."""

    def __init__(self, total: int, before: Counts, out: TextIO = sys.stderr) -> None:
        self._total, self._before, self._now, self._out = total, before, before, out
        self._began = self._said = time.monotonic()
        self._bar = out.isatty()

    def add(self, counts: Counts) -> Counts:
        """A piece is finished. All until now."""
        self._now = self._now.plus(counts)
        now = time.monotonic()
        if self._bar or now - self._said >= _EVERY_S:
            self._said = now
            self._out.write(f"\r\x1b[K{self.line()}" if self._bar else f"{self.line()}\n")
            self._out.flush()
        return self._now

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar:
            self._out.write("\n")

    def line(self) -> str:
        """What there is to say."""
        done, new = sum(self._now), sum(self._now) - sum(self._before)
        rate = new / max(time.monotonic() - self._began, 1e-3)
        part = done / max(self._total, 1)
        bar = f"[{'#' * int(part * _WIDTH):<{_WIDTH}}] " if self._bar else ""
        left = f", {_duration((self._total - done) / rate)} left" if new and done < self._total else ""
        failed = f", {self._now.failed:,} failed" if self._now.failed else ""
        return f"{bar}{done:,} of {self._total:,} rows ({part:.0%}), {rate:,.0f} rows/s{failed}{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
