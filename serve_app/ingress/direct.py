"""The short way to the Router: V2 answered in the servers that Serve runs in its replica.

In high-throughput mode Serve starts an HTTP and a gRPC server inside the ingress replica, and wraps
every request in a task or two, contexts, a semaphore and identifiers before user code sees it. Both
servers have a hook that runs before that: ASGI middlewares
(`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`), and pass-through gRPC services. Through these a
request goes straight to the data plane, and is still counted where Serve counts, because scaling,
draining and Serve's metrics depend on it. Everything else takes Serve's way: other routes, other
processes (proxies), traced requests, and those beyond `max_ongoing_requests`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from ray.serve._private.common import RequestMetadata, RequestProtocol
from starlette.middleware import Middleware

from serve_app.ingress.asgi import Receive, Scope, Send

log = logging.getLogger("tandem")

_PATHS = ("/v2", "/v1")


class Local:
    """The Router of this process: its ASGI application, its servicer and its event loop."""

    def __init__(self, app: Any, servicer: Any) -> None:
        self.app, self.servicer = app, servicer
        self.loop = asyncio.get_running_loop()


_local: Local | None = None


def register(app: Any, servicer: Any) -> None:
    """Called by the Router's replica once it is ready, before Serve starts its servers."""
    global _local
    _local = Local(app, servicer)


class Counter:
    """What Serve keeps of a request: how many are in flight, how many there were, how long each took."""

    def __init__(self, replica: Any, protocol: RequestProtocol) -> None:
        from ray.serve._private.tracing_utils import is_tracing_enabled

        self._metrics = replica._metrics_manager
        self._route = replica._route_prefix
        self._limit = replica.max_ongoing_requests
        self._metadata = RequestMetadata("", "", _request_protocol=protocol, is_direct_ingress=True)
        # Asked for here, so that another Ray that lacks them fails now and not in a request.
        self._enter = self._metrics.inc_num_ongoing_requests
        self._leave = self._metrics.dec_num_ongoing_requests
        self._record = self._metrics.record_request_metrics
        self._ongoing = self._metrics.get_num_ongoing_requests
        if is_tracing_enabled() or self._route != "/":
            raise RuntimeError("tracing is on, or the Router isn't at /")

    def full(self) -> bool:
        """Whether the next request would be one too many."""
        return bool(self._ongoing() >= self._limit)

    def enter(self) -> float:
        """One more in flight; the time, for `leave`."""
        self._enter(self._metadata)
        return time.monotonic()

    def leave(self, started: float, failed: bool) -> None:
        """It is over. `failed` means cancelled or broken: a refused request isn't Serve's error."""
        self._leave(self._metadata)
        spent = (time.monotonic() - started) * 1000
        self._record(route=self._route, latency_ms=spent, is_error=failed)


def middlewares() -> list[Middleware]:
    """What `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` names."""
    return [Middleware(DirectApp)]


class DirectApp:
    """Around Serve's ASGI application, in proxies and replicas alike."""

    def __init__(self, app: Any) -> None:
        self._serve = app
        self._local: Local | None = None
        try:
            if _local is not None and _local.loop is asyncio.get_running_loop():
                # Serve's own middleware, around a method of the replica.
                self._counter = Counter(app._app.__self__, RequestProtocol.HTTP)
                self._local = _local
        except Exception as error:
            log.warning("HTTP requests take Serve's way: %s", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        local = self._local
        if (
            local is None
            or scope["type"] != "http"
            or not scope["path"].startswith(_PATHS)
            or self._counter.full()
        ):
            await self._serve(scope, receive, send)
            return
        started, failed = self._counter.enter(), True
        try:
            await local.app(scope, receive, send)
            failed = False
        finally:
            self._counter.leave(started, failed)


def direct_servicer(server: Any, service: str) -> Any:
    """The servicer whose methods `server` may call by itself, or None where Serve has to route."""
    try:
        if _local is not None and _local.loop is asyncio.get_running_loop():
            counter = Counter(server.service_handler_factory.__self__, RequestProtocol.GRPC)
            server.add_passthrough_service(service)
            return DirectServicer(_local.servicer, counter)
    except Exception as error:
        log.warning("gRPC requests take Serve's way: %s", error)
    return None


class DirectServicer:
    """The RPCs of a servicer, counted, with bytes for answers."""

    def __init__(self, servicer: Any, counter: Counter) -> None:
        self._servicer, self._counter = servicer, counter

    def handler(self, name: str, streaming: bool) -> Callable[..., Any]:
        """The method `name` as grpc.aio calls it."""
        method, counter = getattr(self._servicer, name), self._counter

        async def unary(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            if counter.full():
                context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
                context.set_details("the Router has max_ongoing_requests in flight; try again later")
                return b""
            started, failed = counter.enter(), True
            try:
                answer: bytes = (await method(request, context)).data
                failed = False
                return answer
            finally:
                counter.leave(started, failed)

        async def stream(request: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            started, failed = counter.enter(), True
            try:
                async for answer in method(request):
                    yield answer.data
                failed = False
            finally:
                counter.leave(started, failed)

        return stream if streaming else unary
