"""Takes the steps that `releases.reconcile` finds, on a Router's data plane."""

import asyncio
import logging
import time
from collections.abc import Callable, Container, Coroutine, Mapping
from typing import Any

from serve_app.config import InlineModel, RouterUserConfig
from serve_app.core.changes import Progress
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import INLINE, Model
from serve_app.core.target import Target
from serve_app.deployments.background import Background
from serve_app.deployments.inline import InlineModels
from serve_app.deployments.refusing import Refusing
from serve_app.deployments.successors import Successors
from serve_app.errors import Unavailable
from serve_app.protocol.metadata import ModelDescription
from serve_app.releases import reconcile as steps
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import (
    Actual,
    Desired,
    coming,
    down_since,
    reconcile,
    refusals,
    tried,
)
from serve_app.runtimes.freeze_gc import freeze_gc

log = logging.getLogger("tandem")
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
        plane.progress = self.progress
        self._plane, self._ask, self._on_adopted = plane, ask, on_adopted
        self._desired, self._actual = Desired(), Actual(generation=0)
        self._refresh, self._stamps = refresh, dict[str, float]()  # of the deploys that were looked at
        self._deployed = 0.0
        self._loaded: dict[str, float] = {}  # as applications say of their files
        self._refusing = Refusing(plane.directory)
        self.refuse = self._refusing.whole
        self.background = Background()
        self.inline = InlineModels(
            plane.directory, self._actual, self.background, self._settled, lambda: self._desired, gpu,
            self.turn,
        )  # fmt: skip
        self._changed = asyncio.Event()
        self._followed = False  # else nothing is known of applications
        self.look = asyncio.Event()  # wants to know at once how Serve's applications are
        plane.look_for_successors(Successors(plane.directory, self).renew)

    def configure(self, config: RouterUserConfig) -> None:
        """Want what `config` says, from now on."""
        self._plane.directory.refused = ""
        self._wanted = config
        inline = {model.name: model for model in config.models}
        self._desired = Desired(self._desired.generation + 1, inline, self._desired.applications)
        self.turn()

    def begin(self) -> None:
        """Let what is wanted first hold before its models are there: nothing else does."""
        self.config = self._wanted
        for model in self._plane.directory.models.values():
            self._settled(model)
        self._on_adopted(self.config)

    def follow(
        self, applications: Mapping[str, RemoteApp], changing: bool = False, deployed: float = 0.0
    ) -> None:
        """Want the models of these applications, which are all that there are.

        `changing`: Serve is about to change this Router, which may not have been told yet.
        `deployed`: when this Router was deployed last; each time, what changed on disk is loaded.
        """
        if self._deployed and deployed != self._deployed:
            self.background.spawn(self.read_again())
        self._deployed = deployed
        desired, actual = self._desired, self._actual
        self._desired = Desired(desired.generation, desired.inline, applications)
        self._followed = True
        actual.seen, actual.changing = desired.generation, changing
        actual.now = time.monotonic()
        actual.down_since = down_since(actual.down_since, applications, actual.now)
        actual.refused = refusals(actual.refused, applications)
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

    def progress(self) -> Progress:
        """How far it is with what it wants."""
        desired, actual = self._desired, self._actual
        return Progress(
            max(actual.generation, 0),
            actual.generation == desired.generation and not actual.describing,
            self.inline.loaded,
            {name: app.stamp for name, app in actual.described.items() if app},
            self._loaded,
        )

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
            try:
                self._take(step)
            except Exception:  # the others go on, and this one is found again at the next turn
                log.exception("%s couldn't be done, and will be tried again", step)
        self._refusing.note(self._desired.applications, actual.refused)
        if self._followed and not self._plane.tried:  # once is enough
            self._plane.tried = tried(self._desired, actual)
        self._changed.set()

    def coming(self, name: str) -> bool:
        """Whether a model of that name may be there soon."""
        return coming(name, self._desired, self._actual)

    def sources(self, models: Container[str]) -> list[str]:
        """The applications that have one of these models."""
        return [name for name, app in self._desired.applications.items() if app.model in models]

    async def ask_again(self, source: str) -> None:
        """Ask an application now what it is, and wait for the answer."""
        app = self._desired.applications.get(source)
        if app is not None and app.ingress:
            if source not in self._actual.describing:
                self._take(steps.Describe(app))
            while source in self._actual.describing:
                self._changed.clear()
                await self._changed.wait()

    def _take(self, step: steps.Step) -> None:
        """Take it, then note that it was taken: thrown out of, it will be taken again."""
        actual, directory = self._actual, self._plane.directory
        match step:
            case steps.Name(name):
                actual.known.add(name)  # first: what is known is given up again
                self._settled(directory.expect(name, INLINE))
            case steps.Load(config):
                self._settled(directory.expect(config.name, INLINE))
                actual.loading = config.name
                self.background.spawn(self._load(config, self._desired.generation))
            case steps.Unload(name):
                self.inline.unload(name)
            case steps.Adopt(generation):
                self.config = self._wanted
                for one in directory.models.values():
                    self._settled(one)
                before, actual.generation = actual.generation, generation
                try:
                    self._on_adopted(self.config)
                except Exception:
                    actual.generation = before
                    raise
                failed = {n for n, at in actual.failed.items() if at == generation}
                self._refusing.adopted(failed | actual.overdue)
                freeze_gc(5_000)
            case steps.Expect(app, reason):
                actual.expected.add(app.name)
                self._only(app)
                self._settled(directory.expect(app.model, app.name, reason))
            case steps.Refuse(app, reason):
                actual.expected.add(app.name)
                self._only(app)
                model = directory.expect(app.model, app.name, reason)
                self._settled(model)
                model.unavailable(app.name, reason)
                actual.described[app.name] = None
            case steps.Resize(app):
                if found := directory.models.get(app.model):
                    found.resize(app.name, *app.slots(found.in_flight(app.name)))
                actual.described[app.name] = app
            case steps.Describe(app):
                actual.describing.add(app.name)
                actual.expected.add(app.name)
                self.background.spawn(self._describe(app))
            case steps.Forget(name):
                # One that is still there gave its name to an inline model, and answers what it has.
                gone = name not in self._desired.applications
                for model in list(directory.models.values()):
                    if name in model.sources:
                        removed = directory.remove(model.name, name, refuse=gone)
                        if gone and model.answering():
                            for version in removed:
                                version.abandon()
                        self.background.retire(removed, None)
                actual.expected.discard(name)
                actual.described.pop(name, None)
                actual.served.pop(name, None)
                actual.trouble.pop(name, None)
                self._refusing.told.pop(name, None)
                self._stamps.pop(name, None)
                self._loaded.pop(name, None)

    async def read_again(self, only: Container[str] | None = None) -> None:
        """Load inline models (of these names) whose files changed, and those that couldn't be loaded."""
        if await self.inline.to_load_again(only):
            now = self._desired
            self._desired = Desired(now.generation + 1, now.inline, now.applications)
            self.turn()

    async def _load(self, config: InlineModel, generation: int) -> None:
        await self.inline.load(config, generation)
        self.turn()

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
            if app.name not in actual.expected:
                return  # forgotten meanwhile
            served = actual.served.get(app.name, frozenset())
            if not app.settled and app.name in actual.ready and about.replica in served:
                return  # one of those that go: they serve until others say what there is
            self._only(app)
            model = self._plane.directory.expect(app.model, app.name)
            self._settled(model)
            replaced = model.serve(app.name, about, targets, *app.slots(about.in_flight))
        except Unavailable as error:
            log.warning("model %s doesn't describe itself yet: %s", app.name, error)
            self._trouble(app, str(error))
            return
        except Exception as error:
            log.exception("model %s can't be served as it describes itself", app.name)
            self._trouble(app, f"{type(error).__name__}: {error}")
            return
        finally:
            actual.describing.discard(app.name)
            self._changed.set()
        actual.described[app.name] = app if app.settled else None
        self._stamps[app.name], self._loaded[app.name] = app.stamp, about.loaded
        self._refusing.told[app.name] = about.refused or reason
        actual.served[app.name] = app.replicas if app.settled else app.replicas - served
        actual.trouble.pop(app.name, None)
        self.background.retire(replaced, None)
        self.turn()

    def _trouble(self, app: RemoteApp, reason: str) -> None:
        if app.name in self._actual.expected:
            self._actual.trouble[app.name] = reason
            waiting = f"its application is {app.status}: {reason}"
            self._plane.directory.expect(app.model, app.name, waiting)

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
