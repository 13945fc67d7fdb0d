"""What somebody asked for, who may be gone before it is done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What it returns. Whoever waits may be cancelled, and it goes on.

    Serve cancels in other processes what a process asked for that ends, and a change that is broken off
    in the middle is neither made nor unmade.
    """
    task = asyncio.create_task(work)
    _ASKED.add(task)
    task.add_done_callback(_ASKED.discard)
    return await asyncio.shield(task)


_ASKED: set[asyncio.Task[Any]] = set()  # asyncio itself doesn't hold on to them
