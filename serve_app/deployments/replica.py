"""ModelReplica: one runtime with its weights on its share of the machine."""

import asyncio
from typing import Any

import ray
from ray import serve

from serve_app.config import RemoteModel, ReplicaUserConfig, parse
from serve_app.deployments import collector
from serve_app.errors import ConfigError
from serve_app.observability.logs import log_loaded
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.host import ModelHost


class ModelReplica:
    """Takes whole batches. Its application's name is the model's name."""

    async def __init__(self, config: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        self._config = named(parse(RemoteModel, config))
        self._batching = self._config.batching
        self._host = ModelHost(self._config, gpu=has_gpu())
        log_loaded(self._host.name, await asyncio.to_thread(self._host.load))
        collector.calm()

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take what may change without a restart."""
        changes = parse(ReplicaUserConfig, user_config or {})
        self._batching = changes.batching or self._config.batching

    async def describe(self) -> ModelDescription:
        """Versions, signatures and batching, for the Router."""
        return self._host.describe(self._batching, self._config.in_flight)

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch."""
        return await self._host.predict(version, inputs, parameters)

    def __del__(self) -> None:
        if hasattr(self, "_host"):
            self._host.close()


def named(config: RemoteModel) -> RemoteModel:
    """The configuration under its application's name; ConfigError when it claims another."""
    app = serve.get_replica_context().app_name
    if config.name not in (None, app):
        raise ConfigError(
            f"name '{config.name}' differs from its application's name '{app}': "
            "the application's name is the model's name"
        )
    return config.model_copy(update={"name": app})


def has_gpu() -> bool:
    """Whether Ray gave this actor a GPU (or a share of one)."""
    return bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))
