"""Models in a Router's own process: loaded, put in place, given up."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from serve_app.config import InlineModel
from serve_app.core.directory import INLINE, Directory, Model
from serve_app.deployments.background import Background
from serve_app.errors import ConfigError
from serve_app.observability.logs import log_loaded
from serve_app.releases.reconcile import Actual, Desired
from serve_app.repository.reasons import GivenUp
from serve_app.runtimes.host import Loaded, ModelHost, origin
from serve_app.runtimes.threads import in_thread, where

log = logging.getLogger("tandem")

MAY_HANG = 3  # threads of a model, until it is unavailable
BESIDE_S = 10.0  # of one model's loading, until the next one's begins beside it


class InlineModels:
    """Those of `directory`; what became of each is noted in `actual`.

    `settle(model)` gives a model what the configuration decides about it; `desired()` is what is wanted;
    `turn()` looks for what to do next.
    """

    def __init__(
        self,
        directory: Directory,
        actual: Actual,
        background: Background,
        settle: Callable[[Model], None],
        desired: Callable[[], Desired],
        gpu: bool,
        turn: Callable[[], None],
    ) -> None:
        self._turn = turn
        self._in_turn: InlineModel | None = None  # that the others wait for
        self._directory, self._actual, self._background = directory, actual, background
        self._settle, self._desired, self._gpu = settle, desired, gpu
        self.hosts: dict[str, ModelHost] = {}
        self._coming: dict[str, ModelHost] = {}  # being loaded, the last of each name
        self.loaded: dict[str, int] = {}  # at which generation

    async def load(self, config: InlineModel, generation: int) -> None:
        """Load it, and let it serve where it is still wanted; where it can't be, its reason is kept."""
        actual, name = self._actual, config.name
        self._in_turn = config
        host: ModelHost | None = None
        try:
            host = made = ModelHost(
                config,
                self._gpu,
                MAY_HANG,
                lambda reason: self._hangs(made, reason),
                self._tells(config),
                starting=generation == 1,
            )
            with self._wanted(host):
                log_loaded(name, await self._loaded(config, host))
            if self._desired().inline.get(name) == config:
                self._put(config, host)
                host = None  # it serves
        except GivenUp:
            log.info(
                "model '%s' isn't wanted any more; what was fetched of it is kept for a while", name
            )
        except Exception as error:  # whatever it is: the models behind this one wait for their turn
            reason = str(error)
            if not isinstance(error, ConfigError):
                reason = f"model '{name}': {type(error).__name__}: {error}"
            log.error("%s", reason, exc_info=origin(error))
            actual.failed[name] = generation
            known = self._directory.models.get(name)
            if known is not None:
                known.refused.refuse(INLINE, reason, host.wanted if host else ())
                if name not in self.hosts:
                    known.unavailable(INLINE, reason)
        finally:
            if self._in_turn is config:
                self._in_turn, actual.loading = None, ""
            elif actual.late.get(name) is config:
                self._not_late(name)
            self._background.retire((), host)

    async def _loaded(self, config: InlineModel, host: ModelHost) -> list[Loaded]:
        """Load it, in a thread of its own: it may never come back, and others don't wait for it."""
        loading, thread = in_thread(host.load, f"load-{config.name}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(BESIDE_S, config.load_timeout)):
                return await asyncio.shield(loading)
        actual, name = self._actual, config.name
        self._not_late(name)
        actual.late[name], actual.loading, self._in_turn = config, "", None
        self._turn()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0, config.load_timeout - BESIDE_S)):
                return await asyncio.shield(loading)
        reason = f"it is loading for more than {config.load_timeout:g} s (loadTimeout)"
        log.error("model '%s': %s:\n%s", name, reason, where(thread))
        if actual.late.get(name) is config:  # else another one is wanted by now
            actual.overdue.add(name)
            if (model := self._directory.models.get(name)) is not None:
                model.refused.refuse(INLINE, reason, host.wanted)
                if name not in self.hosts:
                    model.unavailable(INLINE, reason)
            self._turn()
        return await loading

    def _tells(self, config: InlineModel) -> Callable[[str], None]:
        """Takes what a thread says of how far a model's files are, as why the model isn't there yet."""
        loop = asyncio.get_running_loop()

        def heard(said: str) -> None:
            model = self._directory.models.get(config.name)
            if model is not None and self._desired().inline.get(config.name) == config:
                model.expect(INLINE, said)

        def tell(said: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(heard, said)

        return tell

    @contextlib.contextmanager
    def _wanted(self, host: ModelHost) -> Iterator[None]:
        """While it is loaded: until it isn't wanted any more, or another in its place is."""
        self._give_up(host.name)
        self._coming[host.name] = host
        try:
            yield
        finally:
            if self._coming.get(host.name) is host:
                del self._coming[host.name]

    def _give_up(self, name: str) -> None:
        if (host := self._coming.pop(name, None)) is not None:
            host.give_up()

    def _not_late(self, name: str) -> None:
        self._actual.late.pop(name, None)
        self._actual.overdue.discard(name)

    def unload(self, name: str) -> None:
        """It isn't wanted any more. What waits for it is refused, unless an application has it too."""
        self._give_up(name)
        model = self._directory.models.get(name)
        others = model.answering() - {INLINE} if model else None
        removed = self._directory.remove(name, INLINE, refuse=not others)
        actual = self._actual
        actual.known.discard(name)
        actual.inline.pop(name, None)
        actual.stale.discard(name)
        actual.failed.pop(name, None)
        self._not_late(name)
        self.loaded.pop(name, None)
        self._background.retire(removed, self.hosts.pop(name, None))

    async def to_load_again(self) -> bool:
        """Whether files of some changed, which are stale then, or some couldn't be loaded."""
        stale = self._actual.stale
        for name, host in list(self.hosts.items()):
            if await asyncio.to_thread(host.changed):
                stale.add(name)
        stale &= self.hosts.keys()
        return bool(stale or self._actual.failed)

    def _hangs(self, host: ModelHost, reason: str) -> None:
        """Too much of a model hangs, or no longer, without a reason."""
        model = self._directory.models.get(host.name)
        if model is None or self.hosts.get(host.name) is not host:
            return
        if reason:
            model.unavailable(INLINE, reason)
        else:
            model.recovered(INLINE)

    def _put(self, config: InlineModel, host: ModelHost) -> None:
        slots, actual = config.concurrency, self._actual
        about, targets = host.describe(config.batching, slots), host.targets()
        model = self._directory.expect(config.name, INLINE)
        self._settle(model)
        replaced = model.serve(INLINE, about, targets, slots)
        model.refused.accept(INLINE)
        actual.inline[config.name] = config
        actual.stale.discard(config.name)
        self.loaded[config.name] = self._desired().generation
        old, self.hosts[config.name] = self.hosts.get(config.name), host
        self._background.retire(replaced, old)
