"""Models in a Router's own process: loaded, put in place, given up."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from serve_app.config import InlineModel
from serve_app.core.cold import ANY, UNKNOWN
from serve_app.core.directory import INLINE, Directory, Model
from serve_app.deployments.background import Background
from serve_app.deployments.coming import Coming
from serve_app.deployments.looking import Looks
from serve_app.deployments.making_way import Way, make_way
from serve_app.errors import ConfigError
from serve_app.observability.logs import log_loaded
from serve_app.protocol.metadata import ModelDescription
from serve_app.releases.reconcile import Actual, Desired
from serve_app.repository.reasons import GivenUp
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.in_thread import apart, in_thread, where
from serve_app.runtimes.one_version import Loaded, origin
from serve_app.runtimes.threads import MAY_HANG

log = logging.getLogger("tandem")

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
        self.looks = Looks(directory, actual, self.hosts, turn)
        self._coming = Coming(self._heard)
        self.loaded: dict[str, int] = {}  # at which generation
        # Of models of which versions were dropped before others are there.
        self.ways: dict[str, Way] = {}

    def host(
        self, config: InlineModel, before: ModelHost | None = None, starting: bool = False
    ) -> ModelHost:
        """One that may be loaded, and then serve in the place of `before`."""
        return ModelHost(
            config,
            self._gpu,
            MAY_HANG,
            lambda _: self._hangs(config.name),
            before,
            self._coming.tells(config),
            starting,
        )

    async def load(self, config: InlineModel, generation: int) -> None:
        """Load it, and let it serve where it is still wanted; where it can't be, its reason is kept."""
        actual, name, self._in_turn = self._actual, config.name, config
        host, before = None, self.hosts.get(name)
        try:
            if before is not None and config.swap == "replace":
                before = await self._make_way(config, before)
            host = self.host(config, before, starting=generation == 1)
            with self._coming.wanted(host):
                log_loaded(name, await self._loaded(config, host))
            # What it takes over may be gone, where another was loaded meanwhile: it is loaded anew.
            if self._desired().inline.get(name) == config and self.hosts.get(name) is before:
                self._put(config, host)
                self.loaded[name] = self._desired().generation
                served, host = host, None
                self.looks.tried(name, served)
                await self.looks.made_up(name, served)
        except GivenUp:
            log.info("model '%s' isn't wanted any more; what was fetched is kept for a while", name)
        except Exception as error:  # whatever it is: the models behind this one wait for their turn
            actual.failed[name] = generation
            await self._restore(name, host)
            self._refused(name, error, host)
            if self._desired().inline.get(name) == config:
                self.looks.tried(name, host, None if name in self.ways else error)
        finally:
            if self._in_turn is config:
                self._in_turn, actual.loading = None, ""
            elif actual.late.get(name) is config:
                self._not_late(name)
            self._directory.arrived(name)
            if (way := self.ways.pop(name, None)) is not None:
                way.over.set()
            self._background.retire((), host, before)

    def _refused(self, name: str, error: Exception, host: ModelHost | None) -> None:
        """Note at a model why what it was to be isn't served."""
        reason = str(error)
        if not isinstance(error, ConfigError):
            reason = f"model '{name}': {type(error).__name__}: {error}"
        log.error("%s", reason, exc_info=origin(error))
        model = self._directory.models.get(name)
        if model is None:
            return
        if host is not None and host.failed and host.failed.keys() < set(host.wanted):
            model.refused.accept(INLINE, host.failed)
        else:
            model.refused.refuse(INLINE, reason, host.wanted if host else ())
        if name not in self.hosts and name not in self._actual.cold:
            model.unavailable(INLINE, reason)

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

    def _heard(self, config: InlineModel, said: str) -> None:
        """How far a model's files are is why it isn't there yet."""
        model = self._directory.models.get(config.name)
        if model is not None and self._desired().inline.get(config.name) == config:
            model.expect(INLINE, said)
            model.coming = said

    def _not_late(self, name: str) -> None:
        self._actual.late.pop(name, None)
        self._actual.overdue.discard(name)

    async def _make_way(self, config: InlineModel, before: ModelHost) -> ModelHost:
        """Drop what is to be replaced; the host of what stays, which serves now."""
        name = config.name
        way = await make_way(self.host(config, before), before)
        if way is None or self.hosts.get(name) is not before:
            return before
        self.ways[name], self.hosts[name] = way, way.rest
        self._actual.inline.pop(name, None)
        model = self._directory.expect(name, INLINE)
        replaced = model.serve(INLINE, way.about, way.rest.targets(), config.concurrency)
        for version in replaced:
            await version.drained()
        await apart(partial(before.close, way.rest), f"close-{name}")
        return way.rest

    async def _restore(self, name: str, host: ModelHost | None) -> None:
        """What was dropped comes back, where that can be; else what stayed is all there is."""
        way = self.ways.get(name)
        if way is None or self.hosts.get(name) is not way.rest:
            return
        restored, old = way.rest, None
        try:
            restored, old = await apart(partial(way.restored, host), f"load-{name}"), way.rest
        except Exception as error:
            log.error("model '%s' can't be what it was, either: %s", name, error)
        if self.hosts.get(name) is not way.rest:
            self._background.retire((), old and restored)  # another one is wanted by now
        elif restored.versions:
            self._serve(way.config, restored, old)
            self._actual.inline[name] = way.config
        else:
            del self.hosts[name]

    def unload(self, name: str) -> None:
        """It isn't wanted any more. What waits for it is refused, unless an application has it too."""
        self._coming.give_up(name)
        model = self._directory.models.get(name)
        others = model.answering() - {INLINE} if model else None
        removed = self._directory.remove(name, INLINE, refuse=not others)
        actual = self._actual
        actual.known.discard(name)
        actual.inline.pop(name, None)
        actual.cold.discard(name)
        actual.stale.discard(name)
        actual.failed.pop(name, None)
        self._not_late(name)
        self.looks.forget(name)
        self.loaded.pop(name, None)
        self._background.retire(removed, self.hosts.pop(name, None))

    def lacking(self) -> dict[str, dict[str, str]]:
        """By model, the versions that can't be loaded, and why."""
        return {name: host.failed for name, host in self.hosts.items() if host.failed}

    def _hangs(self, name: str) -> None:
        """Too much of a model hangs, or no longer."""
        model, host = self._directory.models.get(name), self.hosts.get(name)
        if model is None or host is None:
            return
        if host.trouble:
            model.unavailable(INLINE, host.trouble)
        else:
            model.recovered(INLINE)

    def rest(self, config: InlineModel) -> None:
        """Name it, to be loaded when it is asked for (serve_app.deployments.residents). Of one that
        rests already, what is known of its versions is forgotten.
        """
        name, actual = config.name, self._actual
        about = ModelDescription(name, config.model_format, {ANY: UNKNOWN})
        model = self._directory.expect(name, INLINE)
        self._settle(model)
        replaced = model.serve(INLINE, about, {})
        model.refused.accept(INLINE)
        actual.cold.add(name)
        self._placed(config)
        self._background.retire(replaced)

    async def bring(self, config: InlineModel) -> None:
        """Load one that rests, where it is still wanted. ConfigError says why it can't be."""
        name, host = config.name, self.host(config)
        loading, thread = in_thread(partial(_to_run, host), f"load-{name}")
        self.looks.bringing.add(name)
        try:
            async with asyncio.timeout(config.load_timeout):
                log_loaded(name, await asyncio.shield(loading))
        except TimeoutError:
            reason = f"it is loading for more than {config.load_timeout:g} s (loadTimeout)"
            log.error("model '%s': %s:\n%s", name, reason, where(thread))
            self._background.spawn(_given_up(loading, host))
            raise ConfigError(f"model '{name}': {reason}") from None
        except Exception as error:
            self._refused(name, error, host)
            self._background.retire((), host)
            raise
        finally:
            self.looks.bringing.discard(name)
        if self._actual.inline.get(name) == config and name in self._actual.cold:
            self._put(config, host)
            await self.looks.made_up(name, host)
            if name in self._actual.stale:  # else nothing waits for it but requests
                self._turn()
        else:
            self._background.retire((), host)

    def _put(self, config: InlineModel, host: ModelHost) -> None:
        old, host.before = host.before, None
        self._serve(config, host, old)
        self._actual.cold.discard(config.name)
        self._placed(config)

    def _placed(self, config: InlineModel) -> None:
        actual, name = self._actual, config.name
        if actual.inline.get(name) != config:
            self.loaded[name] = self._desired().generation
        actual.inline[name] = config
        actual.stale.discard(name)

    def _serve(self, config: InlineModel, host: ModelHost, old: ModelHost | None = None) -> None:
        """Put it in its place, and give back what `old` has and it hasn't."""
        slots = config.concurrency
        model = self._directory.expect(config.name, INLINE)
        self._settle(model)
        about = host.describe(config.batching, slots)
        replaced = model.serve(INLINE, about, host.targets(), slots)
        model.refused.accept(INLINE, host.failed)
        self.hosts[config.name] = host
        self._background.retire(replaced, old, host)


def _to_run(host: ModelHost) -> list[Loaded]:
    """Load it; who waits for it runs it at once."""
    loaded = host.load()
    for version in host.versions.values():
        version.stand_by()
    return loaded


async def _given_up(loading: asyncio.Future[list[Loaded]], host: ModelHost) -> None:
    with contextlib.suppress(Exception):
        await loading
    await apart(host.close, f"close-{host.name}")
