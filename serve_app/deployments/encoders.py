"""A Tokenizer's encoders: made as the replicas make them, which have the networks."""

import asyncio
import contextlib
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from ray.exceptions import RayActorError

from serve_app.config import RemoteModel
from serve_app.errors import ConfigError, VersionGone
from serve_app.repository.stamps import Stamp, stamps_in
from serve_app.repository.storage import local_folder
from serve_app.repository.versions import candidates
from serve_app.runtimes.texts import Recipe, TextEncoder, digest

log = logging.getLogger("tandem")

_LOOK_S = 0.1
_AGAIN_S = 10.0


class Encoders:
    """By version. `recipe` asks a replica (serve_app.deployments.replica); its ConfigError says that a
    version can't be loaded.

    Where its files aren't those that lie here, another replica may be about to come that has read
    these: for `patience` seconds it is waited for. After that the tokens are those of the network that
    there is, and it goes on being looked for.
    """

    def __init__(
        self, config: RemoteModel, recipe: Callable[[str], Awaitable[bytes]], patience: float = 120
    ) -> None:
        self.by_version: Mapping[str, TextEncoder] = {}
        self._config, self._recipe, self._patience = config, recipe, patience
        self._read: dict[str, Stamp] = {}
        self._later: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Make all of them; returns when replicas have all the versions."""
        if not await self._load(self._patience):
            log.warning("%s isn't what its replicas have read: they go before", self._config.name)
            self._later = asyncio.create_task(self._agree())

    async def refresh(self) -> None:
        """Again, where files changed: the replicas have looked at theirs, and taken them or not.

        VersionGone where they have none of a folder that is new; all stays as it was.
        """
        if await asyncio.to_thread(self._on_disk) != self._read:
            await self._load(0)

    async def _agree(self) -> None:
        agreed = False
        while not agreed:
            await asyncio.sleep(_AGAIN_S)
            with contextlib.suppress(VersionGone):
                agreed = await self._load(0)

    async def _load(self, patience: float) -> bool:
        """Whether all are of the files that lie here."""
        read = await asyncio.to_thread(self._on_disk)
        made, agreed = dict[str, TextEncoder](), True
        wanted, older = self._folders()
        for version, folder in [*wanted.items(), *older.items()]:
            if version in older and len(made) >= len(wanted):
                break
            try:
                made[version], same = await self._encoder(version, folder, patience)
            except ConfigError as error:  # it can't be loaded there: the others are served
                log.warning("no tokenizer of %s version %s: %s", self._config.name, version, error)
                same = False
            agreed &= same
        # What the replicas refused they may take at the next deploy, as it is.
        self.by_version, self._read = made, read if agreed else {}
        return agreed

    async def _encoder(self, version: str, folder: Path, patience: float) -> tuple[TextEncoder, bool]:
        answered: float | None = None
        while True:
            try:
                packed = await self._recipe(version)
                if not packed:
                    break
                recipe = Recipe.unpacked(packed)
                same = recipe.files == await asyncio.to_thread(digest, folder)
                answered = answered or time.monotonic()
                if same or time.monotonic() - answered >= patience:
                    return recipe.encoder(), same
            except VersionGone:
                if not patience:
                    raise
            except (RayActorError, zlib.error):  # one of those that go, in the middle of it
                pass
            await asyncio.sleep(_LOOK_S)
        from serve_app.runtimes.transformers import read_recipe

        return (await asyncio.to_thread(read_recipe, self._config, folder))[1], True

    def _folders(self) -> tuple[dict[str, Path], dict[str, Path]]:
        """Those that are wanted, and those that take their places, as the replicas have it."""
        folder = local_folder(self._config.storage_uri or "")
        return candidates(folder, self._config.versions)[:2]

    def _on_disk(self) -> dict[str, Stamp]:
        return stamps_in(self._folders()[0].values())
