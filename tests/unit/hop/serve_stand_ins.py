"""What stands in for Serve's parts at both ends of the fast path to a replica."""

import asyncio
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.serve._private.common import DeploymentID, ReplicaID
from ray.serve._private.utils import Semaphore

from tests.unit.ingress.serve_stand_ins import Replica as RouterReplica


class Replica(RouterReplica):
    """What `PredictApp` uses of Serve's replica."""

    def __init__(self, name: str = "one") -> None:
        super().__init__()
        self._replica_id = replica_id(name)
        self._semaphore = Semaphore(lambda: self.max_ongoing_requests)

    def inc_num_ongoing_requests(self, metadata: Any) -> None:
        assert not metadata.is_direct_ingress  # no request from outside
        self.ongoing += 1

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"Serve's"})


class PowerOfTwoChoicesRequestRouter:
    """Serve's, by name: where the replicas are."""

    def __init__(self, **replicas: tuple[str, int] | None) -> None:
        self.curr_replicas = {name: running(name, where) for name, where in replicas.items()}


def replica_id(name: str) -> ReplicaID:
    """Serve's, of a model's replica. Sockets are named after it, and other tests run beside this one."""
    return ReplicaID(name, DeploymentID("ModelReplica", f"m-{os.getpid()}"))


def running(name: str, where: tuple[str, int] | None, most: int = 2) -> SimpleNamespace:
    return SimpleNamespace(
        replica_id=replica_id(name),
        backend_http_endpoint=where,
        max_ongoing_requests=most,
        multiplexed_model_ids=set(),
    )


class Metrics:
    """Serve's counts behind a handle."""

    def __init__(self) -> None:
        self.running, self.total = 0, 0

    def inc_num_running_requests_for_replica(self, replica: str) -> None:
        self.running += 1

    def dec_num_running_requests_for_replica(self, replica: str) -> None:
        self.running -= 1

    def inc_num_total_requests(self, route: str) -> None:
        self.total += 1


class Handle:
    """A Serve handle whose own way answers with -1, when it may."""

    def __init__(self, **replicas: tuple[str, int] | None) -> None:
        self.metrics, self.taken, self.go = Metrics(), 0, asyncio.Event()
        self.arguments: tuple[Any, ...] = ()
        self.go.set()
        self.raises: list[Exception] = []  # what its own way fails with, before it answers
        self._router = SimpleNamespace(
            _asyncio_router=SimpleNamespace(
                _event_loop=asyncio.get_running_loop(),
                _metrics_manager=self.metrics,
                request_router=PowerOfTwoChoicesRequestRouter(**replicas),
            )
        )
        self.predict = SimpleNamespace(remote=self._remote)

    def now(self, **replicas: tuple[str, int] | None) -> None:
        router = self._router._asyncio_router
        router.request_router = PowerOfTwoChoicesRequestRouter(**replicas)

    def _remote(self, *args: Any) -> asyncio.Task:
        self.taken += 1
        self.arguments = args
        return asyncio.ensure_future(self._answer())

    async def _answer(self) -> dict:
        await self.go.wait()
        if self.raises:
            raise self.raises.pop(0)
        return {"y": np.array([-1])}
