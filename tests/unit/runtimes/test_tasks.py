"""What a task of a user's coroutine ends: itself, and not the event loop."""

import asyncio
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from serve_app.runtimes.tasks import contain_tasks


async def exits() -> None:
    await asyncio.sleep(0)
    sys.exit(5)


async def interrupts() -> None:
    raise KeyboardInterrupt


async def returns() -> int:
    await asyncio.sleep(0)
    return 3


async def waits() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        sys.exit(6)


def run(loop: Callable[[], asyncio.AbstractEventLoop], main: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


@LOOPS
@pytest.mark.parametrize(
    ("what", "says"),
    [(exits, "SystemExit in a task: 5"), (interrupts, "KeyboardInterrupt in a task: ")],
)
def test_what_would_end_the_loop(loop, what, says):
    async def main():
        contain_tasks()
        task = asyncio.create_task(what())
        await asyncio.wait([task])
        assert str(task.exception()) == says
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(what())
        return "still there"

    assert run(loop, main) == "still there"


@LOOPS
def test_in_all_else_they_are_tasks(loop):
    async def main():
        contain_tasks()
        named = asyncio.create_task(returns(), name="mine")
        assert (named.get_name(), "returns" in repr(named)) == ("mine", True)
        assert await asyncio.gather(named, returns()) == [3, 3]
        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(RuntimeError, match="SystemExit in a task: 6"):
            await waiting
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            early = asyncio.create_task(returns())
            early.cancel()
            with pytest.raises(asyncio.CancelledError):
                await early
        assert await asyncio.wait_for(returns(), 1) == 3

    run(loop, main)


def test_others_tasks_are_as_they_were():
    async def main():
        other = asyncio.create_task(asyncio.sleep(0.01))
        await asyncio.create_task(contained())
        later = asyncio.create_task(returns())  # not in the context of the user's
        assert type(later.get_coro()).__name__ == "coroutine"
        await asyncio.gather(other, later)

    async def contained():
        contain_tasks()
        await asyncio.create_task(returns())

    asyncio.run(main())
