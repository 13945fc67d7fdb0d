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
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from ray.serve._private.common import RequestProtocol
from ray.serve._private.tracing_utils import is_tracing_enabled
from starlette.middleware import Middleware

from serve_app.core.deadlines import Departures
from serve_app.hop.batch_app import Model, PredictApp
from serve_app.hop.relay_app import Engine, EngineApp
from serve_app.http.asgi import Receive, Scope, Send, watched
from serve_app.ingress import grpc_http1
from serve_app.internals.serve_replica import Counter

log = logging.getLogger("tandem")

_PATHS = ("/v2", "/v1", "/openai")
FULL = "the Router has max_ongoing_requests in flight; try again later"


class Local:
    """The Router of this process: its ASGI application, its servicer and its event loop."""

    def __init__(self, app: Any, servicer: Any) -> None:
        self.app, self.servicer = app, servicer
        self.loop = asyncio.get_running_loop()


_local: Local | None = None
_model: Model | None = None  # this process's, where it is a model's replica
_engine: Engine | None = None  # and where it is an LLM's


def register(app: Any, servicer: Any) -> None:
    """Called by the Router's replica once it is ready, before Serve starts its servers."""
    global _local  # noqa: PLW0603 - one Router per process, and Serve builds what has to find it
    _local = Local(app, servicer)


def register_model(model: Model) -> None:
    """The same for a model's replica."""
    global _model  # noqa: PLW0603 - as above
    _model = model


def register_engine(engine: Engine) -> None:
    """The same for an LLM's replica."""
    global _engine  # noqa: PLW0603 - as above
    _engine = engine


def middlewares() -> list[Middleware]:
    """What `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` names."""
    if _engine is not None:
        return [Middleware(EngineApp, engine=_engine)]
    if _model is not None:
        return [Middleware(PredictApp, model=_model)]
    return [Middleware(DirectApp)]


def _open(replica: Any) -> None:
    if is_tracing_enabled() or replica._route_prefix != "/":
        raise RuntimeError("tracing is on, or the Router isn't at /")


class DirectApp:
    """Around Serve's ASGI application, in proxies and replicas alike."""

    def __init__(self, app: Any) -> None:
        self._serve = app
        self._router: Local | None = None
        self._counter: Counter | None = None  # without it, HTTP takes Serve's way
        self._grpc_counter: Counter | None = None
        try:
            if _local is not None and _local.loop is asyncio.get_running_loop():
                self._router = _local
                self._infer = watched(_local.servicer.infer_parts, Departures())
                # Serve's own middleware, around a method of the replica.
                replica = app._app.__self__
                self._grpc_counter = Counter(replica, "/", RequestProtocol.GRPC)
                _open(replica)
                self._counter = Counter(replica, "/", RequestProtocol.HTTP)
        except Exception as error:
            log.warning("HTTP requests take Serve's way: %s", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        router, counter = self._router, self._counter
        if scope["type"] == "http" and scope["path"] == grpc_http1.PATH:
            await self._grpc(scope, receive, send)
            return
        if (
            router is None
            or counter is None
            or scope["type"] != "http"
            or not scope["path"].startswith(_PATHS)
            or counter.full()
        ):
            await self._serve(scope, receive, send)
            return
        counter.enter()
        status = 499  # what Serve counts for a client that left
        try:
            status = await router.app(scope, receive, send)
        finally:
            counter.leave(scope["method"], str(status), status >= 400)

    async def _grpc(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._router is None:
            # A proxy, where calls end up while HAProxy knows no Router.
            await grpc_http1.refuse(send, grpc.StatusCode.UNAVAILABLE, "no Router is ready; try again")
            return
        limit = self._router.servicer.limits.max_body_bytes
        if (counter := self._grpc_counter) is None:
            await grpc_http1.answer(scope, receive, send, self._infer, limit)
            return
        if counter.full():
            await grpc_http1.refuse(send, grpc.StatusCode.RESOURCE_EXHAUSTED, FULL)
            return
        counter.enter()
        status = "CANCELLED"
        try:
            status = await grpc_http1.answer(scope, receive, send, self._infer, limit)
        finally:
            counter.leave(grpc_http1.PATH, status, status != "OK")


def direct_servicer(server: Any, service: str) -> Any:
    """The servicer whose methods `server` may call by itself, or None where Serve has to route."""
    try:
        if _local is not None and _local.loop is asyncio.get_running_loop():
            replica = server.service_handler_factory.__self__
            _open(replica)
            counter = Counter(replica, "/", RequestProtocol.GRPC)
            server.add_passthrough_service(service)
            return DirectServicer(_local.servicer, counter)
    except Exception as error:
        log.warning("gRPC requests take Serve's way: %s", error)
    return None


class DirectServicer:
    """The RPCs of a servicer, counted, with bytes for answers."""

    def __init__(self, servicer: Any, counter: Counter) -> None:
        self._servicer, self._counter = servicer, counter

    def handler(self, service: str, name: str, streaming: bool) -> Callable[..., Any]:
        """The method `name` as grpc.aio calls it."""
        method, counter = getattr(self._servicer, name), self._counter
        path = f"/{service}/{name}"

        async def unary(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            if counter.full():
                context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
                context.set_details(FULL)
                return b""
            counter.enter()
            status = "CANCELLED"
            try:
                answer = await method(request, context)
                status = answer.status
                return answer.data  # type: ignore[no-any-return]
            finally:
                counter.leave(path, status, status != "OK")

        async def stream(request: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            counter.enter()
            status = "CANCELLED"
            try:
                async for answer in method(request):
                    yield answer.data
                status = "OK"
            finally:
                counter.leave(path, status, status != "OK")

        return stream if streaming else unary
