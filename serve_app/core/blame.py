"""Whose requests spoil others' batches: they are found, and ride alone for a while."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from serve_app.core.lanes import Batch, Who, fail
from serve_app.errors import InvalidArgument, ModelFailed

AT_FAULT = (ModelFailed, InvalidArgument)  # what one request of a batch may bring on all of it
_ENOUGH = 3  # failures, each within _FORGET_S of the last
_FORGET_S = 30.0
_MOST = 1024  # clients remembered


class Blame:
    """Counts failures by client. Nobody is asked for while nothing fails."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, who: Who | None) -> None:
        """One more request of this client's that its model failed on."""
        if who is None or not (client := who()):
            return
        now = time.monotonic()
        known, last = self._failures.pop(client, (0, now))
        self._failures[client] = (known + 1 if now - last < _FORGET_S else 1), now
        if len(self._failures) > _MOST:
            self._failures.popitem(last=False)

    def alone(self, who: Who | None) -> str:
        """The client, if its requests keep failing; else ''."""
        if not self._failures or who is None:
            return ""
        known, last = self._failures.get(client := who(), (0, 0.0))
        return client if known >= _ENOUGH and time.monotonic() - last < _FORGET_S else ""

    async def find_out(
        self, batch: Batch, error: Exception, compute: Callable[[Batch, float], Awaitable[None]]
    ) -> None:
        """The model failed on the batch: whoever is at fault fails alone. `compute` begins at a time.

        In halves: one of 32 is found in ten executions instead of 32, which others wait for.
        """
        failed = [(batch.items, error)]
        while failed:
            items, error = failed.pop()
            if len(items) == 1:
                self.failed(items[0].who)
                fail(items, error)
                continue
            middle = len(items) // 2
            for half in (items[:middle], items[middle:]):
                if not (half := [item for item in half if not item.future.done()]):
                    continue
                try:
                    await compute(Batch(half, batch.parameters), time.monotonic())
                except asyncio.CancelledError:
                    for rest in batch.items:
                        rest.future.cancel()
                    return
                except AT_FAULT as again:
                    failed.append((half, again))
                except Exception as other:
                    fail(half, other)
