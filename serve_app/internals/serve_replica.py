"""What Serve keeps of the requests in a replica, told to it by the short ways."""

import asyncio
from typing import Any

from ray.serve._private.common import RequestMetadata, RequestProtocol


class Counter:
    """How many requests are in flight, and how many there were by status.

    Not how long each took: `request_predict_seconds` says that, by model, and to record it twice
    more for Serve's own histograms would cost as much as decoding a small request.

    `protocol` is given for requests from outside, which Serve counts as such too.
    """

    def __init__(self, replica: Any, route: str, protocol: RequestProtocol | None = None) -> None:
        self._replica, self._protocol, self._route = replica, protocol, route
        self._metadata = RequestMetadata("", "", is_direct_ingress=protocol is not None)
        if protocol is not None:
            self._metadata._request_protocol = protocol
        # Asked for here, so that another Ray that lacks them fails now and not in a request.
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
        """It was answered."""
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
