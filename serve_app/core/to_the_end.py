"""What somebody asked for, who may be gone before it is done."""

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger("tandem")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What it returns. Whoever waits may be cancelled, and it goes on.

    Serve cancels in other processes what a process asked for that ends, and what those asked others for
    in turn: it finds that by the request's context, so this has a context of its own. A change that is
    broken off in the middle is neither made nor unmade.
    """
    task = asyncio.create_task(work, context=Context())
    _ASKED.add(task)
    task.add_done_callback(_ASKED.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_failed)
        raise


def _failed(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.warning("what somebody asked for who is gone failed: %s", error)


_ASKED: set[asyncio.Task[Any]] = set()  # asyncio itself doesn't hold on to them
