"""The fast path to the Router: V2 answered in the servers that Serve runs in its replica.

In high-throughput mode Serve starts an HTTP and a gRPC server inside the ingress replica, and wraps
every request in a task or two, contexts, a semaphore and identifiers before user code sees it. Both
servers have a hook that runs before that: ASGI middlewares
(`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`), and pass-through gRPC services. Through these a
request goes straight to the data plane, and is still counted where Serve counts, because scaling,
draining and Serve's metrics depend on it. Everything else takes Serve's way: other routes, other
processes (proxies), traced requests, and those beyond `max_ongoing_requests`.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import grpc
from starlette.middleware import Middleware

from serve_app.config import Limits
from serve_app.core.call import Headers
from serve_app.core.deadlines import Departures
from serve_app.core.paths import Paths
from serve_app.errors import TandemError
from serve_app.http.arrival import Arrivals
from serve_app.http.asgi import Disconnected, Outgoing, Receive, Scope, Send, watched
from serve_app.ingress import grpc_http1
from serve_app.ingress.answers import send_error
from serve_app.ingress.grpc_answers import trail
from serve_app.ingress.rest import PROTOCOLS, RestApp
from serve_app.ingress.status import grpc_code
from serve_app.internals.serve_context import deployment, in_replica
from serve_app.internals.serve_replica import GRPC, HTTP, Counter, ServeReplica
from serve_app.internals.uvicorn_cork import still_coming
from serve_app.protocol.wire import Buffer

log = logging.getLogger("tandem")

FULL = "the Router has max_ongoing_requests in flight; try again later"
# How it is, is said however many requests there are: no place is taken for that.
WATCHED = 1024  # streams that say how it is
HEALTH = ("ServerLive", "ServerReady", "ModelReady")
_HEALTH = ("/live", "/ready")


@runtime_checkable
class HasFastPath(Protocol):
    """A deployment that can answer before Serve wraps a request."""

    def fast_path(self, serve: Any, replica: ServeReplica) -> Any:
        """An ASGI application around Serve's own; any error, and requests take Serve's way."""
        ...


@runtime_checkable
class Answers(Protocol):
    """A Router: its two edges, and the event loop that they belong to."""

    rest: RestApp
    servicer: Any
    loop: asyncio.AbstractEventLoop
    paths: Paths


def middlewares() -> list[Middleware]:
    """What `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` names."""
    return [Middleware(fast_path)]


def fast_path(serve: Any) -> Any:
    """Serve's ASGI application `serve`, with what the deployment in this process has before it."""
    try:
        replica = ServeReplica.around(serve)
        if replica is not None and isinstance(replica.deployment, HasFastPath):
            return replica.deployment.fast_path(serve, replica)
        if replica is None and in_replica():
            log.warning("HTTP requests take Serve's way: its replica isn't the one that is known")
    except Exception as error:
        log.warning("HTTP requests take Serve's way: %s", error)
    return ServesWay(serve)


class ServesWay:
    """HTTP goes Serve's way, for which HAProxy's gRPC calls have the wrong form.

    In proxies, where calls end up while HAProxy knows no Router; and in a Router whose Serve isn't the
    one that `ServeReplica` knows: there they are answered all the same.
    """

    def __init__(self, serve: Any) -> None:
        self._serve = serve
        self._departures = Departures()
        self._arrivals = Arrivals(Limits)  # a Router's own, nobody here knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if still_coming(receive):
            arrived = await _arrived(self._arrivals, scope, receive, send)
            if arrived is None:
                return
            receive = arrived
        if scope["type"] != "http" or scope["path"] != grpc_http1.PATH:
            await self._serve(scope, receive, send)
            return
        router = deployment()
        if not isinstance(router, Answers) or router.loop is not asyncio.get_running_loop():
            await grpc_http1.refuse(send, grpc.StatusCode.UNAVAILABLE, "no Router is ready; try again")
            return
        router.paths.fast("grpc")
        infer = watched(_inferring(router), self._departures)
        await grpc_http1.answer(scope, receive, send, infer, router.servicer.limits().max_body_bytes)


def _inferring(router: Answers) -> Callable[[tuple[Buffer, Headers]], Awaitable[list[Buffer]]]:
    infer_parts = router.servicer.infer_parts

    async def infer(message: tuple[Buffer, Headers]) -> list[Buffer]:
        found: list[Buffer] = await infer_parts(*message)
        return found

    return infer


async def _arrived(arrivals: Arrivals, scope: Scope, receive: Receive, send: Send) -> Receive | None:
    """The same with the whole body, of a request of ours; None for one that was refused."""
    path = scope["path"]
    if path != grpc_http1.PATH and not path.startswith(PROTOCOLS):
        return receive
    try:
        return await arrivals.whole(receive)
    except Disconnected:
        return None
    except TandemError as error:
        if path == grpc_http1.PATH:
            named = grpc_http1.named(Headers(scope["headers"]))
            await grpc_http1.refuse(send, grpc_code(error), error.message, named)
            return None
        out = Outgoing(send, bodiless=False)
        out.headers.append((b"connection", b"close"))  # with half a request on it
        await send_error(out, error, path)
        return None


class RouterApp:
    """In a Router's replica, around Serve's ASGI application."""

    def __init__(self, serve: Any, replica: ServeReplica, router: Answers) -> None:
        self._serve, self._rest, self._paths = serve, router.rest, router.paths
        self._limits = router.servicer.limits
        self._infer = watched(_inferring(router), Departures())
        self._arrivals = Arrivals(router.servicer.limits)
        self._counter: Counter | None = None  # without it, HTTP takes Serve's way
        self._grpc_counter: Counter | None = None
        try:
            self._grpc_counter = replica.counter("/", GRPC)
            replica.check_open()
            self._counter = replica.counter("/", HTTP)
        except Exception as error:
            log.warning("HTTP requests take Serve's way: %s", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        counter = self._counter
        if still_coming(receive):
            arrived = await _arrived(self._arrivals, scope, receive, send)
            if arrived is None:
                return
            receive = arrived
        if scope["type"] == "http" and scope["path"] == grpc_http1.PATH:
            await self._grpc(scope, receive, send)
            return
        if (
            counter is None
            or scope["type"] != "http"
            or not scope["path"].startswith(PROTOCOLS)
            or (counter.full() and not scope["path"].endswith(_HEALTH))
        ):
            await self._serve(scope, receive, send)
            return
        counter.enter()
        self._paths.fast("http")
        status = 499  # what Serve counts for a client that left
        try:
            status = await self._rest.answer(scope, receive, send)
        finally:
            counter.leave(scope["method"], str(status), status >= 400)

    async def _grpc(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._limits().max_body_bytes
        if (counter := self._grpc_counter) is None:
            self._paths.fast("grpc")
            await grpc_http1.answer(scope, receive, send, self._infer, limit)
            return
        if counter.full():
            full = grpc.StatusCode.RESOURCE_EXHAUSTED
            named = grpc_http1.named(Headers(scope["headers"]))
            await grpc_http1.refuse(send, full, FULL, (*grpc_http1.LATER, *named))
            return
        counter.enter()
        self._paths.fast("grpc")
        status = "CANCELLED"
        try:
            status = await grpc_http1.answer(scope, receive, send, self._infer, limit)
        finally:
            counter.leave(grpc_http1.PATH, status, status != "OK")


def fast_servicer(server: Any, *services: str) -> "FastServicer | None":
    """The servicer whose methods `server` may call by itself, or None where Serve has to route."""
    try:
        replica = ServeReplica.behind(server)
        if replica is not None and isinstance(router := replica.deployment, Answers):
            replica.check_open()
            counter = replica.counter("/", GRPC)
            for service in services:
                server.add_passthrough_service(service)
            router.servicer.idle.most *= 4  # here they take none of Serve's places
            return FastServicer(router.servicer, counter, router.paths)
    except Exception as error:
        log.warning("gRPC requests take Serve's way: %s", error)
    return None


class FastServicer:
    """The RPCs of a servicer, counted, with bytes for answers."""

    def __init__(self, servicer: Any, counter: Counter, paths: Paths) -> None:
        self._servicer, self._counter, self._paths = servicer, counter, paths
        self._watched = 0

    def handler(self, service: str, name: str, streaming: bool) -> Callable[..., Any]:
        """The method `name` as grpc.aio calls it."""
        method, counter, paths = getattr(self._servicer, name), self._counter, self._paths
        path = f"/{service}/{name}"

        async def unary(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            if counter.full():
                context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
                context.set_details(FULL)
                trail(context, grpc_http1.LATER)
                return b""
            counter.enter()
            paths.fast("grpc")
            trail(context)
            status = "CANCELLED"
            try:
                answer = await method(request, context)
                status = answer.status
                return answer.data  # type: ignore[no-any-return]
            finally:
                counter.leave(path, status, status != "OK")

        @contextlib.contextmanager
        def counted() -> Iterator[None]:
            counter.enter()
            status = "CANCELLED"
            try:
                yield
                status = "OK"
            finally:
                counter.leave(path, status, status != "OK")

        async def stream(request: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            paths.fast("grpc")
            trail(context)
            # A stream is no load, its requests are.
            async with contextlib.aclosing(method(request, context, counted)) as answers:
                async for answer in answers:
                    yield answer.data

        return stream if streaming else unary

    def uncounted(self, name: str, streaming: bool) -> Callable[..., Any]:
        """The same for one that is no load: it isn't refused for others, nor holds up a drain."""
        method = getattr(self._servicer, name)

        async def unary(request: bytes, context: Any) -> bytes:
            trail(context)
            return (await method(request, context)).data  # type: ignore[no-any-return]

        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            if self._watched >= WATCHED:
                context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
                context.set_details(f"{WATCHED} streams of this kind are open; try again later")
                return
            self._watched += 1
            trail(context)
            try:
                async with contextlib.aclosing(method(request, context)) as answers:
                    async for answer in answers:
                        yield answer.data
            finally:
                self._watched -= 1

        return stream if streaming else unary
