"""When what failed for now is tried again: soon, then less and less often, each at its own moment."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from serve_app.redact import redacted

T = TypeVar("T")
AGAIN = "; tried again in "  # follows a reason
FIRST_S, LONGEST_S = 5.0, 300.0
LOOK_S = 1.0  # between looks whether it was deployed meanwhile
_APART = 0.2  # of a pause, more or less: those that failed together don't come back together


def pause(failures: int, chance: float) -> float:
    """Seconds before the next try, after so many in a row that failed; `chance` is from 0 to 1."""
    most = min(FIRST_S * 2.0 ** min(failures - 1, 30), LONGEST_S)
    return most * (1 + _APART * (2 * chance - 1))


def with_pause(reason: object, seconds: float) -> str:
    """Why something failed, and when it is tried again."""
    return f"{redacted(str(reason))}{AGAIN}{seconds:.0f} s"


async def until_done(
    work: Callable[[], Awaitable[T]],
    passing: Callable[[Exception], bool],
    tell: Callable[[str], object],
    deployed: Callable[[float], bool] = lambda since: False,
) -> T:
    """What `work` gives, tried again for as long as it fails for now; `tell` hears that, in a thread.

    `deployed` says, in a thread as well, whether there was a deploy after a time, once of each: then it
    is tried at once.
    """
    failures = 0
    while True:
        began = time.time()
        try:
            return await work()
        except Exception as error:
            if not passing(error):
                raise
            failures += 1
            seconds = pause(failures, random.random())  # noqa: S311
            await asyncio.to_thread(tell, with_pause(error, seconds))
        over = time.monotonic() + seconds
        while (left := over - time.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK_S))
            if await asyncio.to_thread(deployed, began):
                failures = 0
                break


class Again:
    """Calls `do(name)` on the event loop when it is time to try `name` again."""

    def __init__(self, do: Callable[[str], None]) -> None:
        self._do = do
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def later(self, name: str) -> float:
        """It failed for now; after how many seconds it is tried again."""
        self._stop(name)
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        seconds = pause(failures, random.random())  # noqa: S311
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._due, name)
        return seconds

    def left(self, name: str) -> float:
        """Seconds until it is tried again; 0 where it isn't to be."""
        timer = self._timers.get(name)
        return max(0.001, timer.when() - asyncio.get_running_loop().time()) if timer else 0.0

    def forget(self, name: str) -> None:
        """It went well, or is begun anew."""
        self._stop(name)
        self._failures.pop(name, None)

    def forget_all(self) -> None:
        """All are begun anew."""
        for name in list(self._failures):
            self.forget(name)

    def _stop(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _due(self, name: str) -> None:
        del self._timers[name]
        self._do(name)
