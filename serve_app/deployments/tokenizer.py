"""Tokenizer: CPU text processing before a ModelReplica, scaled apart from it."""

import asyncio
import contextlib
import logging
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from serve_app.config import RemoteModel, named, parse
from serve_app.core.asking import ASKING
from serve_app.core.paths import Paths
from serve_app.errors import VersionGone
from serve_app.hop.batch_app import BatchApp
from serve_app.hop.remote import RemoteApplication
from serve_app.internals.serve_context import application
from serve_app.internals.serve_http import near_haproxy
from serve_app.internals.serve_replica import ServeReplica
from serve_app.observability.output import heard
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.repository.stamps import Stamp, stamps_in
from serve_app.repository.storage import local_folder
from serve_app.repository.versions import version_folders
from serve_app.runtimes.texts import TEXT, Recipe, TextEncoder, digest

log = logging.getLogger("tandem")

_LOOK_S = 0.1
_AGREE_S = 120  # replicas of other nodes may have other files, for good


class Tokenizer:
    """Turns a batch of texts into token arrays and hands them on, the answer back."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, config: dict[str, Any], replica: DeploymentHandle[Any]
    ) -> None:
        near_haproxy()
        with heard():
            self._config = named(parse(RemoteModel, config), application())
            # Serve gives HTTP servers to an application's first deployment alone: no fast path from
            # here, and nothing to count.
            self._replica = RemoteApplication(self._config.name or "", replica, Paths())
            self._pool = ThreadPoolExecutor(self._config.concurrency, thread_name_prefix="tokenizer")
            self._encoders = await self._load()

    async def refresh(self, deployed: float) -> str:
        """As the ModelReplica's, of the tokenizers' files."""
        try:
            if await asyncio.to_thread(self._on_disk) != self._read:
                self._encoders = await self._load()
        except Exception as error:  # whatever it is: the old ones go on
            return str(error)
        return ""

    def _folders(self) -> dict[str, Path]:
        return version_folders(local_folder(self._config.storage_uri or ""), self._config.versions)

    def _on_disk(self) -> dict[str, Stamp]:
        return stamps_in(self._folders().values())

    async def _load(self) -> dict[str, TextEncoder]:
        read = await asyncio.to_thread(self._on_disk)
        # Not before the models that they work for, in whose place others may be.
        made = {version: await self._encoder(version, path) for version, path in self._folders().items()}
        self._read = read
        return made

    async def _encoder(self, version: str, folder: Path) -> TextEncoder:
        """As a replica that has read the same files makes it: it has Transformers anyway."""
        asked: float | None = None
        while True:
            with contextlib.suppress(VersionGone, RayActorError, zlib.error):  # one of those that go
                packed = await self._replica.recipe(version)
                if not packed:
                    break
                recipe = Recipe.unpacked(packed)
                if recipe.files == await asyncio.to_thread(digest, folder):
                    return recipe.encoder()
                asked = asked or time.monotonic()
                if time.monotonic() - asked > _AGREE_S:
                    text = "%s isn't what the replicas have read: its tokenizer is read here"
                    log.warning(text, folder)
                    break
            await asyncio.sleep(_LOOK_S)
        from serve_app.runtimes.transformers import read_recipe

        return (await asyncio.to_thread(read_recipe, self._config, folder))[1]

    async def describe(self) -> ModelDescription:
        """The ModelReplica's word."""
        return await self._replica.describe()

    async def predict(
        self, version: str, inputs: Arrays, parameters: Parameters, asking: Sequence[str] = ()
    ) -> Arrays:
        """Tokenize off the event loop, then one hop; `asking` as ModelReplica has it."""
        if asking:
            ASKING.set(asking)
        encoder = self._encoders.get(version)
        if encoder is None:
            raise VersionGone(f"model '{self._config.name}' has no version '{version}'")
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._pool, encoder.encode, inputs[TEXT])
        return await self._replica.predict(version, tokens, parameters)

    def fast_path(self, serve: Any, replica: ServeReplica) -> BatchApp:
        """Batches before Serve wraps them."""
        return BatchApp(serve, replica, self)
