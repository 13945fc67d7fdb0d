"""ModelReplica: one runtime with its weights on its share of the machine."""

import asyncio
from typing import Any

from serve_app.config import RemoteModel, ReplicaUserConfig, named, parse
from serve_app.hop.batch_app import BatchApp
from serve_app.internals.serve_context import application, has_gpu
from serve_app.internals.serve_replica import ServeReplica
from serve_app.observability.logs import log_loaded
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.freeze_gc import freeze_gc
from serve_app.runtimes.host import ModelHost


class ModelReplica:
    """Takes whole batches. Its application's name is the model's name."""

    async def __init__(self, config: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        self._config = named(parse(RemoteModel, config), application())
        self._batching = self._config.batching
        self._host = ModelHost(self._config, gpu=has_gpu())
        log_loaded(self._host.name, await asyncio.to_thread(self._host.load))
        freeze_gc()

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take what may change without a restart."""
        changes = parse(ReplicaUserConfig, user_config or {})
        self._batching = changes.batching or self._config.batching

    async def describe(self) -> ModelDescription:
        """Versions, signatures and batching, for the Router."""
        return self._host.describe(self._batching, self._config.in_flight)

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        return await self._host.predict(version, inputs, parameters)

    def check_health(self) -> None:
        """Asked by Serve, which puts another replica in the place of one that fails."""
        if reason := self._host.trouble:
            raise RuntimeError(f"model '{self._host.name}': {reason}")

    def fast_path(self, serve: Any, replica: ServeReplica) -> BatchApp:
        """Batches before Serve wraps them."""
        return BatchApp(serve, replica, self)

    def __del__(self) -> None:
        if hasattr(self, "_host"):
            self._host.close()
