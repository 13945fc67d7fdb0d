"""What looks around in replicas of tests.contracts.live: a middleware, deployments, a gRPC function."""

import asyncio
import json
import traceback
from collections.abc import Callable
from typing import Any

from ray import serve
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from serve_app.internals.gcs_kv import GcsKeys
from serve_app.internals.serve_context import deployment, in_replica
from serve_app.internals.serve_gauge import Gauge, shown_for
from serve_app.internals.serve_replica import HTTP, ServeReplica
from serve_app.internals.serve_router import HandleRouter, name_of

MODEL = "model"  # the application without a route
_ANSWER = b'{"is": "there"}'
_seen: dict[str, dict[str, Any]] = {}  # of this replica


def look(place: str, **questions: Callable[[], Any]) -> None:
    """Note each answer, which JSON can take, or the error."""
    for name, question in questions.items():
        try:
            answer = question()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        _seen.setdefault(place, {})[name] = answer


def middlewares() -> list[Middleware]:
    """What RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names."""
    return [Middleware(Look)]


class Look:
    """Stands where Tandem's fast paths stand."""

    def __init__(self, app: Any) -> None:
        self._serve = app
        replica: Any = getattr(getattr(app, "_app", None), "__self__", None)
        manager = getattr(replica, "_metrics_manager", None)
        look(
            "replica",
            kind=lambda: f"{type(replica).__module__}.{type(replica).__name__}",
            loop=lambda: _LOOPS.get("user") is asyncio.get_running_loop(),
            route_prefix=lambda: replica._route_prefix,
            app=lambda: replica._deployment_id.app_name,
            max_ongoing_requests=lambda: replica.max_ongoing_requests,
            semaphore=lambda: _semaphore(replica._semaphore, replica.max_ongoing_requests),
            counts=lambda: _counts(manager),
            request_counter=lambda: manager._request_counter.inc(1, tags={"route": "/"}),
            ingress=lambda: _ingress(manager),
            tracing=_tracing,
            deployment=lambda: type(ServeReplica.around(app).deployment).__name__,  # type: ignore[union-attr]
            user_loop=lambda: replica._user_callable_wrapper.event_loop is asyncio.get_running_loop(),
            slots=lambda: ServeReplica.around(app).slots().locked(),  # type: ignore[union-attr]
            counter=lambda: ServeReplica.around(app).counter("/", HTTP).full(),  # type: ignore[union-attr]
            open=lambda: ServeReplica.around(app).check_open(),  # type: ignore[union-attr]
            name=lambda: ServeReplica.around(app).name,  # type: ignore[union-attr]
            here=lambda: ServeReplica.here().name,  # type: ignore[union-attr]
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/-/look":
            await self._serve(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(_ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _ANSWER})
        _seen["server"] = {"send": f"{type(send.__self__).__module__}.{type(send.__self__).__name__}"}


_LOOPS: dict[str, Any] = {}


def _semaphore(slots: Any, most: int) -> list[Any]:
    """Free, then as many taken as there may be, and free again; each at once."""
    states = [slots.locked()]
    for _ in range(most):
        taking = slots.acquire()
        try:
            taking.send(None)  # done without waiting for anything
        except StopIteration:
            pass
        else:
            raise AssertionError("a free semaphore made us wait")
    states.append(slots.locked())
    for _ in range(most):
        slots.release()
    return [*states, slots.locked()]


def _counts(manager: Any) -> list[int]:
    from ray.serve._private.common import RequestMetadata, RequestProtocol

    about = RequestMetadata("", "", is_direct_ingress=True)
    about._request_protocol = RequestProtocol.HTTP
    counts = [manager.get_num_ongoing_requests()]
    manager.inc_num_ongoing_requests(about)
    counts.append(manager.get_num_ongoing_requests())
    manager.dec_num_ongoing_requests(about)
    return [*counts, manager.get_num_ongoing_requests()]


def _ingress(manager: Any) -> list[str]:
    for kept in manager._ingress_metrics.values():
        tags = {"route": "/", "method": "GET", "application": "a"}
        kept.request_counter.inc(0.5, tags={**tags, "status_code": "200"})
        kept.request_error_counter.inc(0.5, tags={**tags, "error_code": "500"})
    return sorted(protocol.value for protocol in manager._ingress_metrics)


def _tracing() -> bool:
    from ray.serve._private.tracing_utils import is_tracing_enabled

    return bool(is_tracing_enabled())


def add_service(servicer: Any, server: Any) -> None:
    """A `grpc_servicer_functions` entry, in replicas and proxies alike."""
    look(
        "grpc",
        loop=lambda: _LOOPS.get("user") is asyncio.get_running_loop(),
        replica=lambda: type(server.service_handler_factory.__self__).__name__,
        deployment=lambda: type(ServeReplica.behind(server).deployment).__name__,  # type: ignore[union-attr]
        passthrough=lambda: server.add_passthrough_service("a.Service"),
        registered=lambda: server.add_registered_method_handlers("a.Service", {}),
    )


class Model:
    """Without a route; called by its handle and at its own HTTP server."""

    def __init__(self) -> None:
        _LOOPS["user"] = asyncio.get_running_loop()

    async def ask(self) -> dict[str, Any]:
        """What was seen in this replica."""
        return _seen


class Ingress:
    """The only one with a route, its ASGI application built late."""

    async def __init__(self) -> None:  # type: ignore[misc]
        _LOOPS["user"] = asyncio.get_running_loop()

    def __serve_build_asgi_app__(self) -> Any:
        return Starlette(routes=[Route("/", self._everything)])

    async def _everything(self, _: Any) -> Response:
        """What there is to see, by place."""
        handle = serve.get_app_handle(MODEL)
        await handle.ask.remote()  # a handle that was never called has no router
        try:
            await self._router(handle)
        except Exception:  # what can't be asked about because something before it is missing
            look("router", way=traceback.format_exc)
        self._context()
        look("gauge", shown_for=shown_for, twice=_twice)
        look("auth", enabled=_token_is_on, header=_token)
        await asyncio.to_thread(look, "status", applications=_applications)
        await asyncio.to_thread(look, "gcs", keys=_keys)
        seen = {**_seen, "model": await handle.ask.remote()}
        return Response(json.dumps(seen, default=lambda one: one.value))

    async def _router(self, handle: Any) -> None:
        router = handle._router._asyncio_router
        requests, metrics = router.request_router, router._metrics_manager
        ((key, running),) = requests.curr_replicas.items()
        host, port = running.backend_http_endpoint
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /-/look HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        answer = await reader.readuntil(_ANSWER)
        writer.close()
        name = running.replica_id
        sent = metrics.num_requests_sent_to_replicas
        look(
            "router",
            way=lambda: "there",
            loop=lambda: router._event_loop is asyncio.get_running_loop(),
            kind=lambda: type(requests).__qualname__,
            again=lambda: requests.curr_replicas is requests.curr_replicas,
            keyed=lambda: key == name,
            answer=lambda: answer.decode(),
            most=lambda: running.max_ongoing_requests,
            name=lambda: name_of(running),
            adapters=lambda: sorted(running.multiplexed_model_ids),
            more=lambda: metrics.inc_num_running_requests_for_replica(name) or sent[name],
            less=lambda: metrics.dec_num_running_requests_for_replica(name) or sent[name],
            total=lambda: metrics.inc_num_total_requests(""),
            ours=lambda: list(HandleRouter(handle).replicas() or ()) == [key],
        )

    def _context(self) -> None:
        from ray.serve.context import _set_request_context

        def adapter() -> str:
            _set_request_context(multiplexed_model_id="an-adapter")
            return serve.get_multiplexed_model_id()

        context = serve.get_replica_context()
        look(
            "context",
            app=lambda: context.app_name,
            ours=lambda: [in_replica(), type(deployment()).__name__],
            replica=lambda: bool(context.replica_id.unique_id),
            user_config=lambda: context._deployment_config.user_config,
            most=lambda: context._deployment_config.max_ongoing_requests,
            adapter=adapter,
        )


def _twice() -> list[Any]:
    """What was recorded at the second of two values, which goes round the front door."""
    gauge, recorded = Gauge("contract", "a gauge", ("a", "b")), []
    gauge.set(1.0, "x", "y")
    gauge._gauge._metric = _Recorded(gauge._gauge._metric, recorded)
    gauge.set(2.0, "x", "y")
    return recorded


class _Recorded:
    def __init__(self, metric: Any, recorded: list[Any]) -> None:
        self._metric, self._recorded = metric, recorded

    def record(self, value: float, tags: dict[str, str]) -> None:
        """As the metric's, noted."""
        self._recorded.append([value, tags])
        self._metric.record(value, tags=tags)


def _applications() -> Any:
    from ray.serve.context import _get_global_client

    return _get_global_client().get_serve_details()["applications"]


def _keys() -> list[Any]:
    """Nothing, one value, another in its place, all names, and nothing again."""
    kept, other = GcsKeys("one"), GcsKeys("one-more")
    seen = [_text(kept.get("state"))]
    other.put("state", b"of another")
    for value in (b"one", b"two"):
        kept.put("state", value)
        seen.append(_text(kept.get("state")))
    seen.append(kept.names())
    kept.delete("state")
    return [*seen, _text(kept.get("state")), _text(other.get("state"))]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _token_is_on() -> bool:
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    return bool(is_token_auth_enabled())


def _token() -> list[str]:
    from ray._raylet import AuthenticationTokenLoader

    return list(AuthenticationTokenLoader.instance().get_token_for_http_header().values())
