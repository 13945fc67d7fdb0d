"""LLMs: Ray Serve's own LLM server (`ray.serve.llm`, with vLLM as its engine) as a ModelReplica.

Imported only where a model of modelFormat vllm is built or runs: vLLM is an extra.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import HTTPException
from ray import serve
from ray.serve.llm import LLMConfig

from serve_app.config import RemoteModel, named, parse
from serve_app.core.later import FIRST_S, until_done
from serve_app.errors import ConfigError, NotFound, Unavailable
from serve_app.hop.relay_app import RelayApp
from serve_app.internals.llm_server import Server
from serve_app.internals.ray_notes import Teller
from serve_app.internals.serve_context import application, replica_id
from serve_app.internals.serve_http import near_haproxy
from serve_app.internals.serve_replica import ServeReplica
from serve_app.internals.vllm_app import VllmApp
from serve_app.internals.vllm_arguments import request_parameters
from serve_app.llm.adapters import Adapters, names_in
from serve_app.llm.application import settings
from serve_app.llm.arguments import newest, one_of
from serve_app.llm.front import behind_router
from serve_app.llm.in_process import call
from serve_app.llm.metrics import EngineMetrics
from serve_app.llm.process import engine_class
from serve_app.llm.warm_up import warm_up
from serve_app.observability.logs import log_loaded
from serve_app.observability.output import heard
from serve_app.protocol.completions import BY_ID
from serve_app.protocol.generation import INPUTS, OUTPUTS
from serve_app.protocol.metadata import EngineDescription, ModelDescription, VersionDescription
from serve_app.releases.telling import Said
from serve_app.repository.reasons import passing
from serve_app.repository.stamps import APART_S
from serve_app.repository.storage import hold, state
from serve_app.runtimes.freeze_gc import freeze_gc
from serve_app.runtimes.one_version import Loaded

log = logging.getLogger("tandem")

MOST_ANSWERS = "128"  # to one prompt, as OpenAI allows; vLLM alone would take 16384


class EngineReplica(Server):
    """One engine. Its application's name is the model's name."""

    async def __init__(self, llm_config: LLMConfig, config: dict[str, Any]) -> None:  # type: ignore[misc]
        near_haproxy()
        with heard():
            await self._begin(config)

    async def _begin(self, config: dict[str, Any]) -> None:
        self._config = named(parse(RemoteModel, config), application())
        began, started = time.time(), time.monotonic()
        self._wants = self._config.storage_uri or "", one_of(self._config.versions)
        asker = self._config.model_dump_json()
        tell = Teller(application())
        try:
            fetch = partial(asyncio.to_thread, hold, *self._wants, tell, asker=asker)
            self._held = await until_done(fetch, passing, tell, tell.deployed)
        finally:
            await asyncio.to_thread(tell.done)
        self._version, folder = newest(self._held)
        os.environ.setdefault("VLLM_MAX_N_SEQUENCES", MOST_ANSWERS)
        # Not the one from the build, where the application's name wasn't known.
        name, llm = self._config.name or "", self._config.llm
        own = await asyncio.to_thread(settings, self._config, name, str(folder), True)
        adapters = partial(Adapters, (llm and llm.adapter_path) or "")
        try:
            await super().__init__(own, engine_cls=engine_class(self._config), model_downloader=adapters)
        except Exception as error:
            if (said := self._held.told(str(error))) == str(error):
                raise
            raise ConfigError(f"{type(error).__name__}: {said}") from error
        self.app = await self.build_app()
        self._front = VllmApp(self.app)
        self._front.blame_constraints()
        self._front.tell_of_tokens(BY_ID)
        behind_router(self._front)
        self._created = int(time.time())
        loaded = time.monotonic()
        if self._config.warm_up:
            await warm_up(self.app, self._config.name or "", await self._front.tasks())
        warm = time.monotonic()
        took = Loaded(self._version, began, loaded - started, warm - loaded)
        log_loaded(self._config.name or "", [took])
        self._metrics = EngineMetrics()
        freeze_gc()

    async def load_adapter(self, load: Callable[[], Awaitable[None]]) -> None:
        """Ray's, before a request for an adapter. Clients don't learn where the bucket is."""
        try:
            await load()
        except Exception as error:
            name = serve.get_multiplexed_model_id()
            if isinstance(error, NotFound):
                log.warning("adapter %s: %s", name, error)
                raise HTTPException(404, f"model: no adapter '{name}'") from None
            log.exception("adapter %s can't be loaded", name)
            text = f"adapter '{name}' can't be loaded; the server's log says why"
            raise HTTPException(500, text) from None

    async def describe(self) -> ModelDescription:
        """Names, context and the request's parameters, for the Router."""
        front = self._front
        tasks = await front.tasks()
        name, llm = self._config.name or "", self._config.llm
        engine = EngineDescription(
            names=[name, *front.adapters],
            created=self._created,
            context=front.context,
            tasks=list(tasks),
            parameters=request_parameters(),
            open_ended=self.loads_adapters,
        )
        if llm and llm.adapter_path:
            found = await names_in(llm.adapter_path, name)
            engine.names += [one for one in found if engine.loads(one) and one not in engine.names]
        generates, checksum = "generate" in tasks, self._held.checksums.get(self._version)
        return ModelDescription(
            name=self._config.name or "",
            platform="vllm",
            versions={
                self._version: VersionDescription(
                    inputs=list(INPUTS) if generates else [],
                    outputs=list(OUTPUTS) if generates else [],
                    properties={"checksum": f"sha256:{checksum}"} if checksum else {},
                )
            },
            in_flight=self._config.in_flight,
            engine=engine,
            replica=replica_id(),
        )

    async def refresh(self, deployed: float, late: bool = False) -> Said:
        """Why what changed on disk isn't served: an engine reads it when it starts, and only then.

        `late`: only what changed since it was listed for this replica, before that time.
        """
        reason, again = "", 0.0
        if not late or self._held.said <= deployed + APART_S:
            try:
                if await asyncio.to_thread(state, *self._wants) != self._held.state:
                    reason = (
                        f"the files of model '{self._config.name}' changed: another `revision` starts "
                        "other engines"
                    )
            except ConfigError as error:
                reason, again = str(error), FIRST_S if passing(error) else 0.0
        return replica_id(), reason, again

    async def http(self, path: str, body: bytes, prompt: object) -> AsyncIterator[Any]:
        """A POST to vLLM's own application: (status, content type), then the body in pieces.

        `prompt` is for request routers. Unavailable while the engine is dead, and this replica with it.
        """
        if not self.alive():
            raise Unavailable(f"the engine of model '{self._config.name}' died; another is on its way")
        async for part in call(self.app, path, body):
            yield part

    def fast_path(self, serve: Any, replica: ServeReplica) -> RelayApp:
        """Requests before Serve wraps them."""
        return RelayApp(serve, replica, self)

    def alive(self) -> bool:
        """Whether the engine runs; Serve's health checks come later to the same."""
        return self._front.alive
