"""Takes the steps that `releases.reconcile` finds, on a Router's data plane."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from serve_app.config import InlineModel, RouterUserConfig
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Model
from serve_app.core.target import Target
from serve_app.deployments.successors import Successors
from serve_app.deployments.work import Work
from serve_app.errors import ConfigError, Unavailable
from serve_app.observability.logs import log_loaded
from serve_app.protocol.metadata import ModelDescription
from serve_app.releases import reconcile as steps
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import Actual, Desired, down_since, reconcile, tried
from serve_app.runtimes.freeze_gc import freeze_gc
from serve_app.runtimes.host import ModelHost

log = logging.getLogger("tandem")

INLINE = ""  # the source of inline models; applications' are their names
Described = tuple[ModelDescription, Mapping[str, Target]]
# Asks an application what it is, and says what can be asked of its versions. Raises Unavailable.
Ask = Callable[[RemoteApp], Coroutine[Any, Any, Described]]
# Lets an application's replicas load what changed on disk; why one couldn't, or ''.
Refresh = Callable[[RemoteApp], Coroutine[Any, Any, str]]


class Conductor:
    """What a Router wants, what it has, and the work under way.

    `on_adopted(config)` is called when a configuration's models were all tried, and `config` is then it.
    """

    def __init__(
        self,
        plane: DataPlane,
        ask: Ask,
        gpu: bool,
        on_adopted: Callable[[RouterUserConfig], None],
        refresh: Refresh | None = None,
    ) -> None:
        self.config = self._wanted = RouterUserConfig()
        self._plane, self._ask, self._gpu, self._on_adopted = plane, ask, gpu, on_adopted
        self._desired, self._actual = Desired(), Actual(generation=0)
        self._refresh, self._stamps = refresh, dict[str, float]()  # of the deploys that were looked at
        self._deployed = 0.0
        self._told: dict[str, str] = {}  # by applications themselves: what they refuse
        self._hosts: dict[str, ModelHost] = {}
        self._work = Work()
        self._changed = asyncio.Event()
        self._followed = False  # else nothing is known of applications
        state = lambda: (self._desired, self._actual)  # noqa: E731
        self.successors = Successors(plane.directory, state, self.asked)
        plane.look_for_successors(self.successors.renew)

    def configure(self, config: RouterUserConfig) -> None:
        """Want what `config` says, from now on."""
        self._wanted = config
        inline = {model.name: model for model in config.models}
        self._desired = Desired(self._desired.generation + 1, inline, self._desired.applications)
        self.turn()

    def follow(
        self, applications: Mapping[str, RemoteApp], changing: bool = False, deployed: float = 0.0
    ) -> None:
        """Want the models of these applications, which are all that there are.

        `changing`: Serve is about to change this Router, which may not have been told yet.
        `deployed`: when this Router was deployed last; each time, what changed on disk is loaded.
        """
        if self._deployed and deployed != self._deployed:
            self._work.spawn(self._read_again())
        self._deployed = deployed
        desired, actual = self._desired, self._actual
        self._desired = Desired(desired.generation, desired.inline, applications)
        self._followed = True
        actual.seen, actual.changing = desired.generation, changing
        actual.now = time.monotonic()
        actual.down_since = down_since(actual.down_since, applications, actual.now)
        self.turn()

    async def adopted(self) -> None:
        """Wait until the configuration is served, its models loaded or known not to load."""
        while self._actual.generation != self._desired.generation:
            self._changed.clear()
            await self._changed.wait()

    async def described(self) -> None:
        """Wait until no application is being asked what it is."""
        while self._actual.describing:
            self._changed.clear()
            await self._changed.wait()

    async def asked(self, app: RemoteApp) -> None:
        """Ask an application what it is, unless it is being asked, and wait until that is over."""
        if app.name not in self._actual.describing:
            self._take(steps.Describe(app))
        while app.name in self._actual.describing:
            self._changed.clear()
            await self._changed.wait()

    @property
    def generation(self) -> int:
        """How many configurations there were, up to the one that is served."""
        return self._actual.generation

    def turn(self) -> None:
        """Take every step that can be taken now."""
        actual = self._actual
        actual.ready = {
            source for model in self._plane.directory.models.values() for source in model.answering()
        }
        for step in reconcile(self._desired, actual):
            self._take(step)
        if self._followed and not self._plane.tried:  # once is enough
            self._plane.tried = tried(self._desired, actual)
        self._changed.set()

    def _take(self, step: steps.Step) -> None:
        actual, directory = self._actual, self._plane.directory
        match step:
            case steps.Load(config):
                actual.loading = config.name
                actual.known.add(config.name)
                self._settled(directory.expect(config.name, INLINE))
                self._work.spawn(self._load(config, self._desired.generation))
            case steps.Unload(name):
                actual.known.discard(name)
                actual.inline.pop(name, None)
                actual.stale.discard(name)
                actual.failed.pop(name, None)
                others = directory.model(name).answering() - {INLINE}
                removed = directory.remove(name, INLINE, refuse=not others)
                self._work.retire(removed, self._hosts.pop(name, None))
            case steps.Adopt(generation):
                actual.generation, self.config = generation, self._wanted
                self._on_adopted(self.config)
                for one in directory.models.values():
                    self._settled(one)
                freeze_gc(5_000)
            case steps.Expect(app, reason):
                actual.expected.add(app.name)
                self._only(app)
                self._settled(directory.expect(app.model, app.name, reason))
            case steps.Refuse(app, reason):
                actual.expected.add(app.name)
                actual.described[app.name] = None
                self._only(app)
                model = directory.expect(app.model, app.name, reason)
                self._settled(model)
                model.unavailable(app.name, reason)
            case steps.Resize(app):
                known = actual.described[app.name]
                actual.described[app.name] = app
                if known and (found := directory.models.get(app.model)):
                    found.resize(app.name, *app.slots(found.in_flight(app.name)))
            case steps.Describe(app):
                actual.describing.add(app.name)
                actual.expected.add(app.name)
                self._work.spawn(self._describe(app))
            case steps.Forget(name):
                actual.expected.discard(name)
                actual.described.pop(name, None)
                actual.served.pop(name, None)
                self._told.pop(name, None)
                self._stamps.pop(name, None)
                # One that is still there gave its name to an inline model, and answers what it has.
                gone = name not in self._desired.applications
                for model in list(directory.models.values()):
                    if name in model.sources:
                        removed = directory.remove(model.name, name, refuse=gone)
                        if gone and model.answering():
                            for version in removed:
                                version.abandon()
                        self._work.retire(removed, None)

    async def _read_again(self) -> None:
        """Load inline models whose files changed, and those that couldn't be loaded."""
        actual = self._actual
        for name, host in list(self._hosts.items()):
            if await asyncio.to_thread(host.changed):
                actual.stale.add(name)
        actual.stale &= self._hosts.keys()
        if actual.stale or actual.failed:
            wanted = self._desired
            self._desired = Desired(wanted.generation + 1, wanted.inline, wanted.applications)
            self.turn()

    async def _load(self, config: InlineModel, generation: int) -> None:
        actual, name = self._actual, config.name
        host = ModelHost(config, gpu=self._gpu)
        try:
            log_loaded(name, await asyncio.to_thread(host.load))
        except Exception as error:  # whatever it is: the models behind this one wait for their turn
            reason = str(error)
            if not isinstance(error, ConfigError):
                reason = f"model '{name}': {type(error).__name__}: {error}"
            log.error("%s", reason)
            actual.failed[name] = generation
            known = self._plane.directory.models.get(name)
            if known is not None and name not in self._hosts:
                known.unavailable(INLINE, reason)
            self._work.retire((), host)
        else:
            if self._desired.inline.get(name) == config:
                self._put(config, host)
            else:  # no longer wanted
                self._work.retire((), host)
        actual.loading = ""
        self.turn()

    def _put(self, config: InlineModel, host: ModelHost) -> None:
        self._actual.inline[config.name] = config
        self._actual.stale.discard(config.name)
        old, self._hosts[config.name] = self._hosts.get(config.name), host
        model = self._plane.directory.expect(config.name, INLINE)
        self._settled(model)
        slots = config.concurrency
        about = host.describe(config.batching, slots)
        self._work.retire(model.serve(INLINE, about, host.targets(), slots), old)

    async def _describe(self, app: RemoteApp) -> None:
        """One that is changing is asked too, where nothing of it is known here: its replicas that run
        serve. It will be asked again when it is settled, and one that fails to answer at the next look.
        """
        actual = self._actual
        try:
            reason = ""
            if self._refresh and app.settled and self._stamps.get(app.name, app.stamp) != app.stamp:
                reason = await self._refresh(app)
            about, targets = await self._ask(app)
        except Unavailable as error:
            log.warning("model %s doesn't describe itself yet: %s", app.name, error)
            return
        finally:
            actual.describing.discard(app.name)
            self._changed.set()
        if app.name not in actual.expected:
            return  # forgotten meanwhile
        served = actual.served.get(app.name, frozenset())
        if not app.settled and app.name in actual.ready and about.replica in served:
            return  # one of those that go: they serve until others say what there is
        self._only(app)
        actual.described[app.name] = app if app.settled else None
        self._stamps[app.name] = app.stamp
        self._told[app.name] = about.refused or reason
        actual.served[app.name] = app.replicas if app.settled else app.replicas - served
        model = self._plane.directory.expect(app.model, app.name)
        self._settled(model)
        self._work.retire(model.serve(app.name, about, targets, *app.slots(about.in_flight)), None)
        self.turn()

    def _only(self, app: RemoteApp) -> None:
        """An application has one model: what it was before, by another name, is gone."""
        directory = self._plane.directory
        for model in list(directory.models.values()):
            if model.name != app.model and app.name in model.sources:
                directory.remove(model.name, app.name)

    def _settled(self, model: Model) -> None:
        """What the configuration decides about a model, wherever it is placed."""
        routing = self.config.routing.get(model.name)
        model.default_version = routing.default_version if routing else None
        model.max_queued = self.config.limits.max_queued_requests
