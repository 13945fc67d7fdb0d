"""Time that passes as fast as it can be computed, and models of known capacity under load in it."""

import asyncio
import random
import selectors
import time as real
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Model
from serve_app.errors import DeadlineExceeded, Overloaded
from tests.unit.planes import call, description, plane, targets, tensor


class _Selector(selectors.DefaultSelector):
    """Instead of waiting it lets the time pass."""

    now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everybody waits for ever")
        self.now += max(timeout, 0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Selector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


class _Clock:
    """What the code under test takes for the module `time`."""

    def __init__(self, loop: _Loop) -> None:
        self.monotonic = loop.time

    time = staticmethod(real.time)


def virtually(monkeypatch, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run it to its end in time of its own."""
    loop = _Loop()
    for module in ("batching", "blame", "gathering", "version", "pipeline", "places", "dataplane"):
        monkeypatch.setattr(f"serve_app.core.{module}.time", _Clock(loop))
    try:
        return loop.run_until_complete(work())
    finally:
        loop.run_until_complete(_ended())
        loop.close()


async def _ended() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class Works:
    """So many executions at a time; each takes `service(rows)` seconds, whoever leaves meanwhile."""

    def __init__(self, at_once: int, service: Callable[[int], float]) -> None:
        self.service, self.executions = service, 0
        self._free = asyncio.Semaphore(at_once)
        self._tasks: set[asyncio.Task[None]] = set()

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        await self._free.acquire()
        self.executions += 1
        task = asyncio.get_running_loop().create_task(self._busy(len(inputs["x"])))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)
        return {"y": inputs["x"], "z": inputs["x"]}

    async def _busy(self, rows: int) -> None:
        await asyncio.sleep(self.service(rows))
        self._free.release()


@dataclass
class Traffic:
    """Requests at random times, `rate` a second, for a model; what became of those of each second.

    `patience`: after so long a client leaves.
    """

    plane: DataPlane
    model: str
    rate: float
    random: random.Random
    patience: float = float("inf")
    rows: int = 1
    ended: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    hints: list[float] = field(default_factory=list)
    _tasks: set = field(default_factory=set)

    async def run(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (pause := self.random.expovariate(self.rate)) + loop.time() < until:
            await asyncio.sleep(pause)
            task = loop.create_task(self._one())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(max(0.0, until - loop.time()))

    async def over(self) -> None:
        """Until all have ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def die(self) -> None:
        """All of its requests are left at once."""
        for task in self._tasks:
            task.cancel()
        await self.over()

    async def _one(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = call(tensor(np.zeros((self.rows, 2), np.float32)), model=self.model)
        wait = None if self.patience == float("inf") else self.patience
        try:
            async with asyncio.timeout(wait):
                await self.plane.infer(asked)
        except Overloaded as error:
            self.ended["refused"] += 1
            self.hints.append(error.retry_after)
        except DeadlineExceeded:
            self.ended["late"] += 1
        except TimeoutError:
            self.ended["left"] += 1
        else:
            self.ended["ok"] += 1
            self.waits.append(loop.time() - began)

    def take(self) -> Counter[str]:
        """What became of them since it was last asked."""
        taken, self.ended = self.ended, Counter()
        self.waits, self.hints = [], []
        return taken


def open_model(
    made: DataPlane, name: str, works: Works, slots: int, spare: int = 0, **extra: Any
) -> Model:
    """Put it into the plane, with no limit but what follows from its pace."""
    model = made.directory.expect(name, "")
    about = description(name, **extra)
    model.serve("", about, targets(works, about.versions), slots, spare)
    return model


__all__ = ["Traffic", "Works", "open_model", "plane", "virtually"]
