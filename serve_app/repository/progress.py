"""How far a fetch is: in the log now and then, and for whoever asks to be told."""

import logging
import re
import threading
import time
from collections.abc import Callable

log = logging.getLogger("tandem")

_UNITS = (10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")
_SAID = re.compile(r"fetching ([\d.]+) of ([\d.]+) (\w+)")
TOLD_S, LOGGED_S = 0.5, 10.0
Tell = Callable[[str], None]


def nobody(said: str) -> None:
    """Who isn't told."""


class Progress:
    """Of `total` bytes (0: not known). Threads add to it side by side."""

    def __init__(self, what: str, total: int = 0, tell: Tell = nobody) -> None:
        self.what, self.total, self.done = what, total, 0
        self._tell = tell
        self._lock = threading.Lock()
        self._told = 0.0
        self._logged = time.monotonic()

    def add(self, count: int) -> None:
        """So many more bytes are here; fewer, where some have to come again."""
        with self._lock:
            self.at(self.done + count)

    def at(self, done: int) -> None:
        """So many are here."""
        self.done, now = done, time.monotonic()
        if now - self._told >= TOLD_S:
            self._told = now
            self._tell(self.said)
        if now - self._logged >= LOGGED_S:
            self._logged = now
            log.info("%s: %s", self.what, self.said)

    @property
    def said(self) -> str:
        """`fetching 1.2 of 4.0 GB`."""
        return f"fetching {amounts(self.done, self.total)}"


def amounts(done: int, total: int) -> str:
    """Two numbers of bytes in one unit, `1.2 of 4.0 GB`; the first alone where there is no second."""
    power, unit = _unit(max(done, total))
    first = f"{done / power:.1f}" if power > 1 else str(done)
    if not total:
        return f"{first} {unit}"
    return f"{first} of {total / power:.1f} {unit}" if power > 1 else f"{first} of {total} {unit}"


def read(said: str) -> tuple[float, float] | None:
    """The two numbers of what `Progress` said, in bytes; None for another text."""
    found = _SAID.fullmatch(said)
    if found is None:
        return None
    power = next((power for power, unit in _UNITS if unit == found[3]), 1)
    return float(found[1]) * power, float(found[2]) * power


def amount(count: int) -> str:
    """`4.0 GB`."""
    return amounts(count, 0)


def _unit(count: int) -> tuple[int, str]:
    for power, unit in _UNITS:
        if count >= power:
            return power, unit
    return 1, "bytes"
