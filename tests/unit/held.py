"""A model that answers when the test lets it, and callers in a known order."""

import asyncio
from dataclasses import dataclass, field

import numpy as np

from serve_app.core.batching import Batcher


def soon(waiting):
    """A guard for a broken batcher: without it the suite would hang."""
    return asyncio.wait_for(waiting, 20)


@dataclass(eq=False)
class Call:
    """One execution, held until the test lets it go."""

    inputs: dict
    parameters: dict
    result: asyncio.Future = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rows(self) -> list:
        return self.inputs["x"][:, 0].tolist()

    def answer(self) -> None:
        self.result.set_result({"y": self.inputs["x"] * 10})

    def fail(self, error: Exception) -> None:
        self.result.set_exception(error)


class Held:
    """An `execute` whose calls the test takes and answers one by one."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self._held: list[Call] = []  # else the garbage collector ends those that a test doesn't keep

    async def __call__(self, inputs, parameters):
        call = Call(inputs, parameters)
        self._held.append(call)
        self.calls.put_nowait(call)
        try:
            return await call.result
        except asyncio.CancelledError:
            call.cancelled.set()
            raise

    async def next(self) -> Call:
        return await soon(self.calls.get())

    async def idle(self) -> bool:
        """Whether nothing starts although every task had its turn."""
        for _ in range(5):
            await asyncio.sleep(0)
        return self.calls.empty()


def x(*values: float, dtype="float32") -> dict:
    return {"x": np.array(values, dtype=dtype).reshape(-1, 1)}


class Callers:
    """Starts callers in order, each already queued when the next one comes."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self._sent: list[asyncio.Task] = []  # a loop keeps no task

    async def __call__(self, *values: float, **parameters) -> asyncio.Task:
        return await self.send(x(*values), **parameters)

    async def send(self, inputs: dict, **parameters) -> asyncio.Task:
        task = asyncio.create_task(self.batcher.submit(inputs, parameters))
        self._sent.append(task)
        await asyncio.sleep(0)
        return task


async def result(task: asyncio.Task) -> list:
    return (await soon(task))["y"][:, 0].tolist()


def setup(rows: int = 4, **options) -> tuple[Held, Batcher, Callers]:
    held = Held()
    batcher = Batcher(held, rows, **options)
    return held, batcher, Callers(batcher)
