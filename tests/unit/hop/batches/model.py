"""A model behind the fast path that answers when the test lets it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import numpy as np

from serve_app.errors import VersionGone
from serve_app.hop import batch_app, near
from tests.unit.hop.serve_stand_ins import Replica
from tests.unit.ingress.serve_stand_ins import around as put_around

X = {"x": np.array([[1, 2]], np.float32)}


class Model:
    """Answers when it is let go; notes what became of each batch."""

    def __init__(self) -> None:
        self.go, self.ended = asyncio.Event(), []
        self.lacks: set[str] = set()
        self.go.set()

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        if version in self.lacks:
            raise VersionGone(f"no version '{version}'")
        self.ended.append(version)
        return {"y": inputs["x"] * 10, **{name: np.array([value]) for name, value in parameters.items()}}


class Deployment:
    """A model's, with its fast path."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.app: Any = None

    def fast_path(self, serve: Any, replica: Any) -> batch_app.BatchApp:
        self.app = batch_app.BatchApp(serve, replica, self.model)
        return self.app


@contextlib.asynccontextmanager
async def listening(replica: Replica) -> AsyncIterator[list[Any]]:
    """It answers this node's Routers without HTTP, too; its ends of their connections."""
    made, before = [], near._Answering.connection_made

    def connection_made(self: Any, transport: Any) -> None:
        made.append(transport)
        before(self, transport)

    with mock.patch.object(near._Answering, "connection_made", connection_made):
        found = await replica.deployment.app.listen()
        try:
            yield made
        finally:
            found.close()
            for transport in made:
                transport.abort()
            for _ in range(5):  # until both ends know
                await asyncio.sleep(0)


def around(replica: Replica, model: Any) -> Any:
    replica.deployment = Deployment(model)
    return put_around(replica)
