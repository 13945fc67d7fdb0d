"""Serve's router behind a handle: which replicas there are, where, and how busy Serve thinks them."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from ray.serve._private.request_router import PowerOfTwoChoicesRequestRouter
from ray.serve.handle import DeploymentHandle

log = logging.getLogger("tandem")


def name_of(replica: Any) -> str:
    """A replica's name, by Serve's record of it; its own process knows it as `ServeReplica.name`."""
    return str(replica.replica_id.to_full_id_str())


class HandleRouter:
    """Of one handle, which Serve updates as replicas come and go."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle: Any = handle
        self._metrics: Any = None
        self._said = False

    def replicas(self) -> Mapping[Any, Any] | None:
        """Serve's records of the replicas; the same object while they are the same ones.

        None while nothing was sent by the handle, on another event loop, and where the deployment has
        a request router of its own: then requests have to take the handle.
        """
        try:
            if self._handle._router is None:  # not called yet
                return None
            router = self._handle._router._asyncio_router
            if router._event_loop is not asyncio.get_running_loop():
                return None
            requests = router.request_router
            # By name: Serve sends the class pickled, which makes another one of it.
            if type(requests).__qualname__ != PowerOfTwoChoicesRequestRouter.__qualname__:
                return None
            self._metrics = router._metrics_manager
            found: Mapping[Any, Any] = requests.curr_replicas
            return found
        except AttributeError as error:
            if not self._said:
                self._said = True
                log.warning("requests to replicas take Serve's way, as this Ray is another: %s", error)
            return None

    def begun(self, replica: Any) -> None:
        """A request is on its way to this one, and not by the handle."""
        self._metrics.inc_num_running_requests_for_replica(replica.replica_id)

    def ended(self, replica: Any) -> None:
        self._metrics.dec_num_running_requests_for_replica(replica.replica_id)

    def answered(self) -> None:
        """One more that was answered."""
        self._metrics.inc_num_total_requests("")
