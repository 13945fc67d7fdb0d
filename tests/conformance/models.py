"""Models that misbehave on purpose; test_limits.py serves them."""

import asyncio
from pathlib import Path


class Held:
    """Answers only once the file `release` is there."""

    def __init__(self, release: str) -> None:
        self.release = Path(release)

    async def predict(self, inputs, parameters):
        while not self.release.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
        return inputs


class Pairs:
    """Answers when two have asked."""

    def __init__(self) -> None:
        self.waiting: asyncio.Event | None = None

    async def predict(self, inputs, parameters):
        if self.waiting is not None:
            self.waiting.set()
            self.waiting = None
        else:
            self.waiting = other = asyncio.Event()
            await other.wait()
        return inputs


class Raises:
    """Fails on every request."""

    def predict(self, inputs, parameters):
        raise ZeroDivisionError("a fault of the model's own")


class Unloadable:
    """Never loads."""

    def load(self, folder):
        raise RuntimeError("the weights are gone")

    def predict(self, inputs, parameters):
        return inputs
