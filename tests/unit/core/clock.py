"""A batcher's time, which stands still unless the test moves it, and a model that it is used to."""

import asyncio

from tests.unit.held import result, setup


class Clock:
    """What the batcher takes for the time: it stands still unless the test moves it."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


async def after(clock, seconds, *, rows=4, **options):
    """A batcher whose model usually takes `seconds`, and a batch that it computes."""
    held, batcher, caller = setup(rows, **options)
    for _ in range(80):  # until it is used to it
        task = await caller(0)
        call = await held.next()
        clock.now += seconds
        call.answer()
        await result(task)
    await caller(0)
    return held, batcher, caller, await held.next()


async def still(held) -> bool:
    """Whether nothing starts, timers included."""
    await asyncio.sleep(0.02)
    return await held.idle()
