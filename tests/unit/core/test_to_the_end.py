"""Work that outlives whoever waits for it."""

import asyncio
import gc

import pytest

from serve_app.core.to_the_end import to_the_end
from tests.unit.waiting import until


async def test_what_it_returns_and_raises():
    async def work(fails):
        await asyncio.sleep(0)
        if fails:
            raise ValueError("x")
        return 7

    assert await to_the_end(work(False)) == 7
    with pytest.raises(ValueError, match="x"):
        await to_the_end(work(True))


async def test_it_goes_on_without_whoever_waited(caplog):
    """Also where nothing else knows of it: asyncio forgets such a task with the next collection."""
    lost = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: lost.append(what))
    ended = []

    async def work():
        await asyncio.sleep(0.01)
        ended.append(True)
        raise ValueError("nobody hears of it")

    asked = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    gc.collect()
    await until(lambda: ended)
    await until(lambda: "failed: nobody hears of it" in caplog.text)
    del asked
    gc.collect()
    assert not lost
