"""Tokenizer: CPU text processing before a ModelReplica, scaled apart from it."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray.serve.handle import DeploymentHandle

from serve_app.config import RemoteModel, named, parse
from serve_app.core.asking import ASKING
from serve_app.core.later import FIRST_S
from serve_app.core.paths import Paths
from serve_app.deployments.encoders import Encoders
from serve_app.errors import VersionGone
from serve_app.hop.batch_app import BatchApp, near
from serve_app.hop.remote import RemoteApplication
from serve_app.internals.serve_context import application, replica_id
from serve_app.internals.serve_http import near_haproxy
from serve_app.internals.serve_replica import ServeReplica
from serve_app.observability.output import heard
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.releases.telling import Said
from serve_app.repository.reasons import passing
from serve_app.runtimes.texts import texts_of


class Tokenizer:
    """Turns a batch of texts into token arrays and hands them on, the answer back."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, config: dict[str, Any], replica: DeploymentHandle[Any]
    ) -> None:
        near_haproxy()
        with heard():
            self._config = named(parse(RemoteModel, config), application())
            # Serve gives HTTP servers to an application's first deployment alone: from here only to a
            # replica of this node is there a fast path. Nobody reads what is counted.
            self._replica = RemoteApplication(self._config.name or "", replica, Paths())
            self._pool = ThreadPoolExecutor(self._config.concurrency, thread_name_prefix="tokenizer")
            self._encoders = Encoders(self._config, self._replica.recipe, self._loaded)
            await self._encoders.load()
            self._near = await near(self)

    async def _loaded(self) -> Iterable[str]:
        return (await self._replica.describe()).versions

    async def refresh(self, deployed: float, late: bool = False) -> Said:
        """As the ModelReplica's, of the tokenizers' files; tried again by whoever tells it again."""
        try:
            await self._encoders.refresh()
        except Exception as error:  # whatever it is: the old ones go on
            return replica_id(), str(error), FIRST_S if passing(error) else 0.0
        return replica_id(), "", 0.0

    async def describe(self) -> ModelDescription:
        """The ModelReplica's word."""
        return await self._replica.describe()

    async def predict(
        self, version: str, inputs: Arrays, parameters: Parameters, asking: Sequence[str] = ()
    ) -> Arrays:
        """Tokenize off the event loop, then one hop; `asking` as ModelReplica has it."""
        if asking:
            ASKING.set(asking)
        encoder = self._encoders.by_version.get(version)
        if encoder is None:
            raise VersionGone(f"model '{self._config.name}' has no version '{version}'")
        words = texts_of(inputs)
        assert words is not None  # a Router sends what a model of texts takes
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._pool, encoder.encode, words)
        return await self._replica.predict(version, tokens, parameters)

    def fast_path(self, serve: Any, replica: ServeReplica) -> BatchApp:
        """Batches before Serve wraps them."""
        app = BatchApp(serve, replica, self)
        if self._near is None:  # it didn't know itself yet
            self._listening = asyncio.create_task(app.listen())
        return app
