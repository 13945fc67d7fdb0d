"""A Tokenizer's encoders: made as the replicas make them, which have the networks."""

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from ray.exceptions import RayActorError

from serve_app.config import RemoteModel
from serve_app.core.to_the_end import to_the_end
from serve_app.errors import ConfigError, VersionGone
from serve_app.repository.storage import Held, State, hold, local_path, pinned, state
from serve_app.runtimes.texts import Recipe, TextEncoder, digest

log = logging.getLogger("tandem")

_LOOK_S = 0.1
_AGAIN_S, _RARELY_S = 10.0, 120.0
_GONE_S = 60.0  # a replica that answers is waited for, where there are encoders to go on with


class _Silent(VersionGone):
    """No replica says anything: it is asked again later."""


class Encoders:
    """By version. `recipe` asks a replica (serve_app.deployments.replica), `versions` which it has;
    a ConfigError of the former says that a version can't be loaded.

    Where its files aren't those that lie here, or in the store, another replica may be about to come
    that has read these: for `patience` seconds it is waited for. After that the tokens are those of the
    network that there is, without a version that no replica has, and it goes on being looked for.
    """

    def __init__(
        self,
        config: RemoteModel,
        recipe: Callable[[str], Awaitable[bytes]],
        versions: Callable[[], Awaitable[Iterable[str]]],
        patience: float = 120,
    ) -> None:
        self.by_version: Mapping[str, TextEncoder] = {}
        self._config, self._recipe, self._patience = config, recipe, patience
        self._uri, self._versions = config.storage_uri or "", versions
        self._local = local_path(self._uri) is not None
        self._read: State = {}
        self._held: list[Held] = []  # of the files that are read here
        self._later: asyncio.Task[None] | None = None
        self._turns = asyncio.Lock()

    async def load(self) -> None:
        """Make all of them; returns when replicas have all the versions."""
        agreed: bool | None = None
        while agreed is None:
            try:
                agreed = await self._load(self._patience)
            except VersionGone:  # the replicas that were asked differ: some go, or come
                await asyncio.sleep(_LOOK_S)
        if not agreed:
            log.warning("%s isn't what its replicas have read: they go before", self._config.name)
            self._follow()

    async def refresh(self) -> None:
        """Again, where files changed: the replicas have looked at theirs, and taken them or not.

        VersionGone where they have none of a folder that is new; all stays as it was.
        """
        await to_the_end(self._refreshed())

    async def _refreshed(self) -> None:
        async with self._turns:
            try:
                if await asyncio.to_thread(state, self._uri, self._config.versions) != self._read:
                    await self._load(0)
            except Exception as error:
                # Those two stay so until the next deploy; whatever else it is passes.
                if isinstance(error, _Silent) or not isinstance(error, VersionGone | ConfigError):
                    self._follow()
                raise

    def _follow(self) -> None:
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._agree())

    async def _agree(self) -> None:
        agreed, pause = False, _AGAIN_S
        while not agreed:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _RARELY_S)  # until a deploy, maybe
            try:
                async with self._turns:
                    agreed = await self._load(0)
            except VersionGone:
                continue
            except Exception as error:
                log.warning("the tokenizer of %s stays as it is: %s", self._config.name, error)

    async def _load(self, patience: float) -> bool:
        """Whether all are of the files that lie here, or in the store."""
        try:
            read = await asyncio.to_thread(state, self._uri, self._config.versions)
        except ConfigError as error:
            if self._local:
                raise
            log.warning("%s: %s: as its replicas have it", self._config.name, error)
            read, patience = {"": ""}, 0
        before, self._held = self._held, []
        try:
            made, agreed = await self._made(read, patience)
        except BaseException:  # what there is goes on
            before, self._held = self._held, before
            raise
        finally:
            for held in before:
                held.release()
        # What the replicas refused they may take at the next deploy, as it is.
        self.by_version, self._read = made, read if agreed else {}
        return agreed

    async def _made(self, read: State, patience: float) -> tuple[dict[str, TextEncoder], bool]:
        made, agreed = dict[str, TextEncoder](), True
        # Of an archive only those know who have unpacked it.
        for version in await self._versions() if "" in read else read:
            same = False
            try:
                made[version], same = await self._encoder(version, read, patience)
            except ConfigError as error:  # it can't be loaded there: the others are served
                log.warning("no tokenizer of %s version %s: %s", self._config.name, version, error)
            except VersionGone:  # replicas are told of it when this is there
                if not patience:
                    raise
                patience = _LOOK_S  # it was waited for
            agreed &= same
        if len(made) < len(read) and "" not in read:  # in their places older ones may be served
            for version in await self._versions():
                if version not in made and version not in read and len(made) < len(read):
                    made[version], _ = await self._encoder(version, read, 0)
        return made, agreed

    async def _encoder(self, version: str, read: State, patience: float) -> tuple[TextEncoder, bool]:
        answered, began = 0.0, time.monotonic()
        while patience or time.monotonic() - began < _GONE_S:
            try:
                asked = asyncio.wait_for(self._recipe(version), None if patience else _GONE_S)
                recipe = Recipe.unpacked(await asked)
                same = recipe.files == await asyncio.to_thread(self._files, version, read)
                answered = answered or time.monotonic()
                if same or time.monotonic() - answered >= patience:
                    if recipe.tokenizer:
                        return recipe.encoder(), same
                    if encoder := await asyncio.to_thread(self._by_transformers, version, recipe):
                        return encoder, same
            except VersionGone:
                answered = answered or time.monotonic()
                if time.monotonic() - answered >= patience:
                    raise
            except (RayActorError, TimeoutError, zlib.error):  # one that goes, in the middle of it
                pass
            await asyncio.sleep(_LOOK_S)
        raise _Silent(f"no replica has said for {_GONE_S:g} s how version {version} reads texts")

    def _files(self, version: str, read: State) -> str:
        """What a recipe's `files` are, if it was made from what there is."""
        if self._local:
            return digest(hold(self._uri, [version]).folders[version])
        return str(read.get(version, read.get("")))

    def _by_transformers(self, version: str, recipe: Recipe) -> TextEncoder | None:
        """Made here, from the files of the recipe; None where they can't be had any more."""
        from serve_app.runtimes.tokenizers import read_recipe

        folder = self._folder(version, recipe)
        try:
            made, encoder = read_recipe(self._config, folder)
        except ConfigError as error:
            raise ConfigError(self._held[-1].told(str(error))) from error
        return encoder if self._local or made.files == recipe.files else None

    def _folder(self, version: str, recipe: Recipe) -> Path:
        if not self._local and (held := pinned(recipe.files)):
            self._held.append(held)
            if (held.folders[""] / "config.json").is_file():
                return held.folders[""]
        held = hold(self._uri, [version])
        self._held.append(held)
        return held.folders[version]
