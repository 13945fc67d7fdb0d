"""What stands in for Serve's replica, a Router in it, and the requests that tests send there."""

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
from ray.serve._private.common import RequestProtocol
from ray.serve._private.http_util import RequestIdMiddleware

from serve_app.core.paths import Paths
from serve_app.ingress import fast_path
from serve_app.ingress.grpc import Servicer
from serve_app.ingress.rest import RestApp
from serve_app.protocol.inference_pb2 import ModelInferRequest
from tests.unit.ingress.connections import Client
from tests.unit.ingress.grpc_bodies import HINTS, frame, post, refused
from tests.unit.planes import Backend
from tests.unit.waiting import until

HTTP, GRPC = RequestProtocol.HTTP, RequestProtocol.GRPC
NO_ROUTER = refused(grpc.StatusCode.UNAVAILABLE, "no Router is ready; try again")
FULL = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, fast_path.FULL, HINTS)


class Metric:
    def __init__(self) -> None:
        self.counted: dict[tuple, int] = {}

    def inc(self, count: int, tags: dict[str, str]) -> None:
        key = tuple(sorted(tags.items()))
        self.counted[key] = self.counted.get(key, 0) + count


class Replica:
    """What the fast path uses of Serve's replica, which answers with the path."""

    def __init__(self) -> None:
        self._route_prefix, self.max_ongoing_requests = "/", 2
        self._deployment_id = SimpleNamespace(app_name="tandem")
        self._metrics_manager = self
        self._request_counter = Metric()
        self._ingress_metrics = {
            protocol: SimpleNamespace(request_counter=Metric(), request_error_counter=Metric())
            for protocol in (HTTP, GRPC)
        }
        self.ongoing, self.protocols = 0, []
        self.deployment: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def _user_callable_wrapper(self) -> Any:
        loop = self.loop or asyncio.get_running_loop()
        return SimpleNamespace(event_loop=loop, user_callable=self.deployment)

    def inc_num_ongoing_requests(self, metadata: Any) -> None:
        assert metadata.is_direct_ingress
        self.protocols.append(metadata._request_protocol)
        self.ongoing += 1

    def dec_num_ongoing_requests(self, metadata: Any) -> None:
        self.ongoing -= 1

    def get_num_ongoing_requests(self) -> int:
        return self.ongoing

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        body = b"Serve's: " + scope["path"].encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def handlers(self) -> None:
        """In the place of its factory of gRPC handlers."""


class Deployment:
    """What the fast path uses of a Router."""

    def __init__(self, servicer: Servicer) -> None:
        self.loop = asyncio.get_running_loop()
        self.servicer, self.paths = servicer, Paths()
        self.rest = RestApp(servicer.plane, servicer.limits, self.paths)

    def fast_path(self, serve: Any, replica: Any) -> fast_path.RouterApp:
        return fast_path.RouterApp(serve, replica, self)


class Held(Backend):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        await self.go.wait()
        return await super().predict(version, inputs, parameters)


def around(replica: Any) -> Any:
    """As Serve puts it around its own application."""
    (middleware,) = fast_path.middlewares()
    return middleware.cls(RequestIdMiddleware(replica.asgi), *middleware.args, **middleware.kwargs)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


def message(model: str = "m") -> bytes:
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 2], "contents": {"fp32_contents": [1, 2]}}
    return ModelInferRequest(model_name=model, inputs=[entry]).SerializeToString()


def call(model: str = "m") -> bytes:
    return post(frame(message(model)))


def infer(model: str = "m") -> bytes:
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}'
    path = f"/v2/models/{model}/infer"
    return f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def serves(client: Client, path: str = "/v2") -> bool:
    """Whether Serve answered this."""
    return (await client.ask(get(path))).endswith(b"Serve's: " + path.encode())


async def counted(metric: Metric) -> dict[tuple, int]:
    await until(lambda: metric.counted)
    return metric.counted
