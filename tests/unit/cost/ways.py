"""The ways of a request, whole and in one process: uvicorn, the fast path, the data plane, the model.

Serve's replica and metrics are stood in for, by what isn't counted.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any
from unittest import mock

import numpy as np
from ray.serve import metrics

from loadtests.requests import Request, binary_request, echo, grpc_request, json_request
from serve_app.config import InlineModel, Limits, Traffic
from serve_app.config.payloads import PayloadLogger, Queue
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import INLINE
from serve_app.core.paths import Paths
from serve_app.hop import calls, served
from serve_app.hop.remote import RemoteApplication
from serve_app.ingress.grpc import Servicer
from serve_app.observability.metrics import RayMetrics
from serve_app.observability.payloads.log import PayloadLog
from serve_app.observability.payloads.record import Bytes, Record
from serve_app.runtimes.host import ModelHost
from tests.unit.cost.counting import Instructions
from tests.unit.hop.batches.model import around as around_model
from tests.unit.hop.batches.model import listening
from tests.unit.hop.serve_stand_ins import Handle
from tests.unit.hop.serve_stand_ins import Replica as ModelsReplica
from tests.unit.ingress.connections import Client, Server
from tests.unit.ingress.grpc_bodies import frame, post
from tests.unit.ingress.serve_stand_ins import Deployment, Replica, around

TRAFFIC = {"turns": {}, "users": {"sticky": {"header": "x-user"}}}


X = {"x": np.array([[1.5, -2.25, 3.125, 4.0]], dtype=np.float32)}
REQUESTS = {
    "HTTP, JSON": echo(),
    "HTTP, binary": binary_request("identity", 16, grpc=False),
    "gRPC": grpc_request("identity", X),
    "HTTP, batched": echo("batched"),
    "HTTP, in a thread": json_request("thread", {"x": X["x"][:, :2]}),
    "HTTP, to a replica": echo("remote"),
    "HTTP, shared by turns": echo("turns"),
    "HTTP, of one user": echo("users"),
    "HTTP, of another user each": echo("users"),
}
# The first again, where a payload logger's sink is dead and its queue full.
UNHEARD = "HTTP, a logger without room"
_WARM_UP, _COUNTED = 5, 25


class _Metric:
    """In the place of Serve's."""

    def __init__(self, *_: object, **__: object) -> None:
        self._metric = self

    def set(self, *_: object, **__: object) -> None: ...

    inc = record = set

    def _get_final_tags(self, tags: dict[str, str]) -> dict[str, str]:
        return tags


@contextlib.contextmanager
def _stood_in() -> Iterator[None]:
    with contextlib.ExitStack() as changed:
        for kind in ("Gauge", "Counter"):
            changed.enter_context(mock.patch.object(metrics, kind, _Metric))
        for module in (calls, served):
            changed.enter_context(mock.patch.object(module, "credentials", return_value=b"Bearer s"))
        yield


def _host(name: str, kind: str = "serve_app.demo.identity:Identity", **more: Any) -> ModelHost:
    """The echo, which is a coroutine, or another class."""
    given = {"name": name, "modelFormat": "python", "class": kind, **more}
    host = ModelHost(InlineModel.model_validate(given), gpu=False)
    host.load()
    return host


@contextlib.asynccontextmanager
async def serving(*observers: Any, log: PayloadLog | None = None) -> AsyncIterator[tuple[str, int]]:
    """A Router's address, with a model for each of REQUESTS; `observers`, `log` beside its metrics."""
    with _stood_in():
        plane, limits = DataPlane(RayMetrics(Paths()), *observers, *([log] if log else [])), Limits()
        hosts = [
            _host("identity"),
            _host("batched", batching={"maxBatchSize": 64}),
            _host("thread", "tests.unit.models:Double"),
        ]
        for host in hosts:
            model = plane.directory.expect(host.name, INLINE)
            model.serve(INLINE, host.describe(host.config.batching, 1), host.targets())
        for name, said in TRAFFIC.items():
            hosts.append(host := _host(name))
            model = plane.directory.expect(name, INLINE)
            about, targets = host.describe(None, 1), host.targets()
            about.versions["2"], targets["2"] = about.versions["1"], targets["1"]
            model.serve(INLINE, about, targets)
            model.direct(None, Traffic.model_validate({"weights": {"1": 90, "2": 10}, **said}))
        apart = _host("remote")
        hosts.append(apart)
        router = Replica()
        router.deployment = Deployment(Servicer(plane, lambda: limits))
        if log is not None:
            router.deployment.rest.heard_by(log)
        replica = ModelsReplica()
        async with (
            Server(around_model(replica, apart)) as far,
            listening(replica),
            Server(around(router)) as near,
        ):
            targets = RemoteApplication("remote", Handle(one=far.address), Paths()).targets(["1"])
            plane.directory.expect("remote", "remote").serve(
                "remote", apart.describe(None, 1), targets, slots=2, spare=1
            )
            yield near.address
        for host in hosts:
            host.close()


def sent(request: Request, user: int = 0) -> bytes:
    """As it comes from HAProxy."""
    if request.grpc:
        return post(frame(request.body))
    headers = {"Host": "t", "Content-Length": str(len(request.body)), **request.headers}
    if request.model == "users":
        headers["X-User"] = f"user-{1000 + user}"
    lines = [f"POST {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


async def _counted(address: tuple[str, int], name: str, so_far: Instructions) -> tuple[int, int]:
    """Instructions of one request, ours and all: the least, as timers come on top of some."""
    client, ours, every = Client(address), [], []
    for number in range(_WARM_UP + _COUNTED):
        data = sent(REQUESTS[name], number if "another user" in name else 0)
        before = so_far.ours, so_far.all
        answer = await client.ask(data)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"grpc-status: 0" in answer or b"content-length: " in answer
        await asyncio.sleep(0)
        ours.append(so_far.ours - before[0])
        every.append(so_far.all - before[1])
    client.close()
    return min(ours[_WARM_UP:]), min(every[_WARM_UP:])


def _full() -> PayloadLog:
    """A logger whose sink is away, and a queue that is full."""
    found = PayloadLog("own")
    found.configure([PayloadLogger(url="http://127.0.0.1:1/", queue=Queue(maxEvents=1))])
    body = Bytes({}, [], 0)
    found.senders[0].waiting.offer(Record("request", "", 0.0, "m", "1", body, 0, 0))
    assert found.full
    return found


async def costs(*observers: Any, of: Iterable[str] = (*REQUESTS, UNHEARD)) -> dict[str, tuple[int, int]]:
    """What requests cost."""
    gc.disable()  # what it finalizes is no request's
    try:
        with Instructions() as so_far:
            async with serving(*observers) as address:
                found = {name: await _counted(address, name, so_far) for name in of if name != UNHEARD}
            if UNHEARD in of:
                log = _full()
                async with serving(*observers, log=log) as address:
                    found[UNHEARD] = await _counted(address, next(iter(REQUESTS)), so_far)
                log.close(0)
            return found
    finally:
        gc.enable()
