"""ModelReplica: one runtime with its weights on its share of the machine."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from serve_app.config import RemoteModel, ReplicaUserConfig, named, parse
from serve_app.core.asking import ASKING
from serve_app.deployments.explained import Explained
from serve_app.errors import ConfigError
from serve_app.explainers.asking import reach
from serve_app.hop.batch_app import BatchApp, near
from serve_app.internals.ray_notes import Teller
from serve_app.internals.serve_context import application, has_gpu, replica_id
from serve_app.internals.serve_http import near_haproxy
from serve_app.internals.serve_replica import ServeReplica
from serve_app.observability.logs import log_loaded
from serve_app.observability.output import heard
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.releases.telling import Said
from serve_app.runtimes.current import CurrentHost
from serve_app.runtimes.freeze_gc import freeze_gc

log = logging.getLogger("tandem")

PIECE = 2**20  # bytes; Ray's own limit of a message is 4 MiB


class ModelReplica:
    """Takes whole batches. Its application's name is the model's name."""

    async def __init__(self, config: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        near_haproxy()
        with heard():
            self._config = named(parse(RemoteModel, config), application())
            self._batching = self._config.batching
            self._configured, self._refused = False, ""
            if self._config.explains:
                reach(Explained(self._config.explains, application()))
            tell = Teller(application())
            self._current = CurrentHost(self._config, has_gpu(), log_loaded, tell, tell.deployed)
            try:
                log_loaded(self._config.name or "", await self._current.load())
            finally:
                await asyncio.to_thread(tell.done)
            freeze_gc()
            self._near = await near(self)

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take what may change without a restart.

        A wrong one stops a replica that starts; a running one keeps what it has, because Serve
        would kill it if this raised.
        """
        try:
            changes = parse(ReplicaUserConfig, user_config or {}, "user_config")
        except ConfigError as error:
            if not self._configured:
                raise
            self._refused = str(error)
            log.error("the new user_config is refused, the old one stays: %s", error)
            return
        self._configured, self._refused = True, ""
        self._batching = changes.batching or self._config.batching

    async def describe(self) -> ModelDescription:
        """Versions, signatures and batching, for the Router."""
        about = self._current.host.describe(self._batching, self._config.in_flight)
        about.replica, about.loaded = replica_id(), self._current.loaded
        about.refused = self._refused or self._current.refused
        about.failed |= self._current.failed
        about.again = self._current.again
        return about

    async def predict(
        self, version: str, inputs: Arrays, parameters: Parameters, asking: Sequence[str] = ()
    ) -> Arrays:
        """One batch, for the requests of these ids; on the fast path the context has them."""
        if asking:
            ASKING.set(asking)
        return await self._current.predict(version, inputs, parameters)

    async def recipe(self, version: str, start: int) -> tuple[int, bytes]:
        """How the version's texts become tokens (serve_app.runtimes.texts): how long that is, and from
        `start` on a piece that fits into any message."""
        whole = await asyncio.to_thread(self._current.host.recipe, version)
        return len(whole), whole[start : start + PIECE]

    async def refresh(self, deployed: float, late: bool = False) -> Said:
        """Load what changed on disk, as CurrentHost does."""
        reason = await self._current.refresh(deployed, late)
        return replica_id(), reason, self._current.again

    def check_health(self) -> None:
        """Asked by Serve, which puts another replica in the place of one that fails."""
        host = self._current.host
        if reason := host.trouble:
            raise RuntimeError(f"model '{host.name}': {reason}")

    def fast_path(self, serve: Any, replica: ServeReplica) -> BatchApp:
        """Batches before Serve wraps them."""
        app = BatchApp(serve, replica, self)
        if self._near is None:  # it didn't know itself yet
            self._listening = asyncio.create_task(app.listen())
        return app

    def __del__(self) -> None:
        if hasattr(self, "_current"):
            self._current.host.close()
