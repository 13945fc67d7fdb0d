"""A Steward without Ray: what it keeps, who serves, what it tells."""

import asyncio

from serve_app.releases.change import Change
from serve_app.releases.live import Live
from serve_app.releases.steward import Steward

OFF = Live({"": "x"}, off=True)
NEW = Live({}, {"modelFormat": "onnx"}, "d1")


class Kept:
    """A store in memory, which can be away."""

    most = 1000

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.away = self.unread = False

    def get(self, name):
        if self.unread:
            raise OSError("the bucket can't be read")
        return self.data.get(name)

    def put(self, name, data):
        if self.away:
            raise OSError("the bucket is away")
        self.data[name] = data

    def delete(self, name):
        if self.away:
            raise OSError("the bucket is away")
        self.data.pop(name, None)

    def names(self):
        return list(self.data)


class World:
    """Routers that run, by Serve's word, and what is told."""

    def __init__(self) -> None:
        self.store, self.routers, self.lines = Kept(), {"r1"}, []
        self.reread: list[str] = []
        self.trouble = ""
        self.serve_away = False

    def steward(self, timeout: float = 5) -> Steward:
        async def reread(model, generation):
            self.reread.append((model, generation))
            return self.trouble

        def routers():
            if self.serve_away:
                raise RuntimeError("no controller")
            return set(self.routers)

        return Steward(self.store, routers, reread, timeout, self.lines.append)


def change(live=OFF, **more) -> Change:
    return Change(**{"id": "i", "model": "m", "verb": "unload", "live": live, **more})


async def begun(steward: Steward, wanted: Change | None = None) -> asyncio.Task:
    """A change that is written, and waited for."""
    generation = steward.state.generation
    task = asyncio.create_task(steward.change(wanted or change()))
    async with asyncio.timeout(5):
        while steward.state.generation == generation:
            await asyncio.sleep(0)
            if task.done():
                return task
            await asyncio.sleep(0.001)
    return task
