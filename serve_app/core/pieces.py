"""A request that is larger than a batch: run piece by piece, a few at a time, and put together."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import numpy as np

from serve_app.protocol.tensors import Arrays


async def in_pieces(
    inputs: Arrays, rows: int, size: int, most: int, run: Callable[[Arrays], Awaitable[Arrays]]
) -> Arrays:
    """What `run` makes of `inputs`, `size` rows at once and at most `most` pieces in its hands.

    The others aren't queued yet, so that whoever comes meanwhile waits behind `most` pieces and not
    behind all of them. After one that fails none is begun; the first in order says why.
    """
    starts = range(0, rows, size)
    parts: list[Arrays | Exception | None] = [None] * len(starts)
    numbers, failed = count(), False

    async def work() -> None:
        nonlocal failed
        while not failed and (number := next(numbers)) < len(starts):
            start = starts[number]
            piece = {name: array[start : start + size] for name, array in inputs.items()}
            try:
                parts[number] = await run(piece)
            except Exception as error:  # as a value: a TaskGroup would wrap it, and lose its kind
                parts[number], failed = error, True

    async with asyncio.TaskGroup() as group:
        for _ in range(min(most, len(starts))):
            group.create_task(work())
    if not failed and any(part is None for part in parts):  # one was cancelled, which a group ignores
        raise asyncio.CancelledError
    done: list[Arrays] = []
    for part in parts:
        if isinstance(part, Exception):
            raise part
        if part is not None:
            done.append(part)
    return {name: np.concatenate([part[name] for part in done]) for name in done[0]}
