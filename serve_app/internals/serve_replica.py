"""Serve's replica in this process, for requests that go round its wrapping of each.

Such requests are still counted and limited where Serve counts and limits, because scaling, draining
and Serve's metrics depend on it. What another Ray lacks is missed here, when the replica starts, and
not in a request.
"""

import asyncio
from typing import Any

import ray
from ray.serve._private.common import RequestMetadata, RequestProtocol
from ray.serve._private.tracing_utils import is_tracing_enabled

HTTP, GRPC = RequestProtocol.HTTP, RequestProtocol.GRPC


class ServeReplica:
    """What is known of a replica whose servers run on this event loop."""

    def __init__(self, replica: Any) -> None:
        self._replica = replica

    @classmethod
    def around(cls, app: Any) -> "ServeReplica | None":
        """The one whose method Serve's own ASGI middleware `app` wraps; None in a proxy."""
        return cls._of(getattr(getattr(app, "_app", None), "__self__", None))

    @classmethod
    def behind(cls, server: Any) -> "ServeReplica | None":
        """The one that a gRPC server of Serve's hands its calls to; None in a proxy."""
        return cls._of(getattr(getattr(server, "service_handler_factory", None), "__self__", None))

    @classmethod
    def here(cls) -> "ServeReplica | None":
        """The one that this process is, also of a deployment that has no servers; None elsewhere."""
        actors = ray._private.worker.global_worker.actors.values()
        found = (getattr(actor, "_replica_impl", None) for actor in actors)
        return cls._of(next(filter(None, found), None))

    @classmethod
    def _of(cls, owner: Any) -> "ServeReplica | None":
        wrapper = getattr(owner, "_user_callable_wrapper", None)
        if wrapper is None or wrapper.event_loop is not asyncio.get_running_loop():
            return None
        return cls(owner)

    @property
    def deployment(self) -> Any:
        """The object that the user's class became in it."""
        return self._replica._user_callable_wrapper.user_callable

    @property
    def name(self) -> str:
        """As others know it (`serve_router.name_of`)."""
        return str(self._replica._replica_id.to_full_id_str())

    def check_open(self) -> None:
        """RuntimeError when every request has to take Serve's way."""
        if is_tracing_enabled() or self._replica._route_prefix != "/":
            raise RuntimeError("tracing is on, or the Router isn't at /")

    def slots(self) -> Any:
        """The semaphore of max_ongoing_requests: `locked()`, `await acquire()`, `release()`."""
        return self._replica._semaphore

    def counter(self, route: str, protocol: RequestProtocol | None = None) -> "Counter":
        """`protocol` is given for requests from outside, which Serve counts as such too."""
        return Counter(self._replica, route, protocol)


class Counter:
    """How many requests are in flight, and how many there were by status.

    Not how long each took: `request_predict_seconds` says that, by model, and to record it twice
    more for Serve's own histograms would cost as much as decoding a small request.
    """

    def __init__(self, replica: Any, route: str, protocol: RequestProtocol | None = None) -> None:
        self._replica, self._protocol, self._route = replica, protocol, route
        self._metadata = RequestMetadata("", "", is_direct_ingress=protocol is not None)
        if protocol is not None:
            self._metadata._request_protocol = protocol
        manager = replica._metrics_manager
        self._enter = manager.inc_num_ongoing_requests
        self._leave = manager.dec_num_ongoing_requests
        self._ongoing = manager.get_num_ongoing_requests
        self._requests, self._ingress = manager._request_counter, manager._ingress_metrics
        self._app = replica._deployment_id.app_name
        self._counted: dict[tuple[str, str, bool], int] = {}
        self._loop = asyncio.get_running_loop()
        self._hand_on()

    def full(self) -> bool:
        """Whether the next request would be one too many."""
        return bool(self._ongoing() >= self._replica.max_ongoing_requests)

    def enter(self) -> None:
        """One more in flight."""
        self._enter(self._metadata)

    def leave(self, method: str, status: str, failed: bool) -> None:
        self._leave(self._metadata)
        key = (method, status, failed)
        self._counted[key] = self._counted.get(key, 0) + 1

    def _hand_on(self) -> None:
        """Once a second: counters add up, so nothing is lost by waiting."""
        self._loop.call_later(1, self._hand_on)
        counted, self._counted = self._counted, {}
        for (method, status, failed), count in counted.items():
            self._requests.inc(count, tags={"route": self._route})
            if self._protocol is None or (ingress := self._ingress.get(self._protocol)) is None:
                continue
            tags = {"route": self._route, "method": method, "application": self._app}
            ingress.request_counter.inc(count, tags={**tags, "status_code": status})
            if failed:
                ingress.request_error_counter.inc(count, tags={**tags, "error_code": status})
