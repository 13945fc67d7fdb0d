"""Takes the steps that `releases.reconcile` finds, on a Router's data plane."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import replace

from serve_app.config import InlineModel, RouterUserConfig
from serve_app.core.changes import Progress
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import INLINE, Model
from serve_app.core.graphs.serve import Graphs
from serve_app.core.graphs.transformers import Transformers
from serve_app.deployments.applications import Applications, Ask, Refresh
from serve_app.deployments.background import Background
from serve_app.deployments.inline import InlineModels
from serve_app.deployments.refusing import Refusing
from serve_app.deployments.residents import Residents
from serve_app.deployments.successors import Successors
from serve_app.releases import reconcile as steps
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import Actual, Desired, coming, reconcile, tried
from serve_app.releases.since import down_since, refusals
from serve_app.runtimes.freeze_gc import freeze_gc
from serve_app.runtimes.transformer import KServeTransformer

log = logging.getLogger("tandem")

_TRY_S, _LOOK_S = 30.0, 0.2  # for who was told to try again; between looks whether it has


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
        self._plane, self._on_adopted = plane, on_adopted
        self._desired, self._actual = Desired(), Actual(generation=0)
        self._deployed = self._looked = 0.0  # when this Router was, and after which it looked at files
        self._refusing = Refusing(plane.directory)
        self.refuse = self._refusing.whole
        self.background = Background()
        self.inline = InlineModels(
            plane.directory, self._actual, self.background, self._settled, lambda: self._desired, gpu,
            self.turn,
        )  # fmt: skip
        self._residents = Residents(self.inline, plane.directory, self._actual, self.background)
        self._graphs = Graphs(plane)
        self._transformers = Transformers(plane, KServeTransformer, self.background.spawn)
        self._changed = asyncio.Event()
        self.applications = Applications(
            plane.directory, self._actual, self.background, self._refusing, ask, refresh, self._settled,
            self._application, self._changed.set, self.turn,
        )  # fmt: skip
        self._followed = False  # else nothing is known of applications
        self.look = asyncio.Event()  # wants to know at once how Serve's applications are
        plane.look_for_successors(Successors(plane.directory, self).renew)

    def configure(self, config: RouterUserConfig) -> None:
        """Want what `config` says, from now on."""
        self._plane.directory.refused = ""
        self._wanted = config
        inline = {model.name: model for model in config.models}
        lazily = config.limits.max_loaded_models is not None
        generation = self._desired.generation + 1
        self._desired = replace(self._desired, generation=generation, inline=inline, lazily=lazily)
        self.inline.looks.anew()
        self.turn()

    def begin(self) -> None:
        """Let what is wanted first hold before its models are there: nothing else does."""
        self._hold()
        self._on_adopted(self.config)

    def follow(
        self, applications: Mapping[str, RemoteApp], changing: bool = False, deployed: float = 0.0
    ) -> None:
        """Want the models of these applications, which are all that there are.

        `changing`: Serve is about to change this Router, which may not have been told yet.
        `deployed`: when this Router was deployed last; each time, what changed on disk is loaded.
        """
        if deployed and deployed != self._deployed:  # else Serve doesn't say, for a moment
            known, self._deployed = self._deployed, deployed
            if known:
                self.background.spawn(self.read_again(deployed=deployed))
            else:
                self._looked = deployed
                if self._actual.generation:
                    self.background.spawn(self._made_up())
        desired, actual = self._desired, self._actual
        self._desired = replace(desired, applications=applications)
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
        tried = actual.generation == desired.generation and not actual.describing
        return Progress(
            max(actual.generation, 0),
            tried and self._transformers.settled,
            self.inline.loaded,
            {name: app.stamp for name, app in actual.described.items() if app},
            self.applications.loaded,
            self._looked,
        )

    @property
    def generation(self) -> int:
        """How many configurations there were, up to the one that is served."""
        return self._actual.generation

    def turn(self) -> None:
        """Take every step that can be taken now."""
        actual = self._actual
        actual.ready = self._plane.directory.answering()
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

    def _application(self, name: str) -> RemoteApp | None:
        return self._desired.applications.get(name)

    async def wake(self, name: str) -> bool:
        """Have a model loaded that isn't in memory; whether there was something to wait for."""
        if (way := self.inline.ways.get(name)) is not None:
            await way.over.wait()
        elif name in self._actual.cold:
            await self._residents.wake(name)
        else:
            return False
        return True

    async def ask_again(self, source: str) -> None:
        """Ask an application now what it is, and wait for the answer.

        One that waits before it tries again has been told to do so now: first see what comes of that.
        """
        app = first = self._application(source)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TRY_S):
                while app and first and app.waits and app.message == first.message:
                    await asyncio.sleep(_LOOK_S)
                    app = self._application(source)
        if app is not None and app.ingress and not app.waits:
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
                if self.inline.looks.begins(config.name):
                    self._settled(directory.expect(config.name, INLINE))
                actual.loading = config.name
                self.background.spawn(self._load(config, self._desired.generation))
            case steps.Rest(config):
                self.inline.rest(config)
            case steps.Unload(name):
                self.inline.unload(name)
            case steps.Adopt(generation):
                self._hold()
                before, actual.generation = actual.generation, generation
                try:
                    self._on_adopted(self.config)
                except Exception:
                    actual.generation = before
                    raise
                failed = {n for n, at in actual.failed.items() if at == generation}
                self._refusing.adopted(failed | actual.overdue, self.inline.lacking())
                self._residents.limit(self.config.limits.max_loaded_models)
                freeze_gc(5_000)
                if not before:
                    self.background.spawn(self._made_up())
            case steps.Expect(app, reason):
                self.applications.expect(app, reason)
            case steps.Refuse(app, reason):
                self.applications.refuse(app, reason)
            case steps.Resize(app):
                self.applications.resize(app)
            case steps.Describe(app):
                self.applications.begin(app)
            case steps.Tell(app):
                self.applications.tell(app)
            case steps.Forget(name):
                self.applications.forget(name)

    async def read_again(self, only: Container[str] | None = None, deployed: float = 0.0) -> None:
        """Load inline models (of these names) whose files changed, and those that couldn't be loaded."""
        self._residents.forget()
        self._transformers.read_again()
        if await self.inline.looks.at_files(only):
            self._anew()
        self._looked = max(self._looked, deployed)

    async def _made_up(self) -> None:
        """Of the first models files may have been read, or listed by others, before the last deploy."""
        since = max(self._deployed, self.applications.ordered)
        if since and await self.inline.looks.at_files(since=since):
            self._anew()

    def _anew(self) -> None:
        self._desired = replace(self._desired, generation=self._desired.generation + 1)
        self.turn()

    async def _load(self, config: InlineModel, generation: int) -> None:
        await self.inline.load(config, generation)
        self.turn()

    def _hold(self) -> None:
        """What is wanted beside models holds from now on."""
        self.config = self._wanted
        self._graphs.configure(self.config.graphs)
        self._transformers.configure(self.config.transformers)
        for model in self._plane.directory.models.values():
            self._settled(model)

    def _settled(self, model: Model) -> None:
        """What the configuration decides about a model, wherever it is placed."""
        routing = self.config.routing.get(model.name)
        if routing is None:
            model.direct(None, None)
        else:
            held = routing.rollout.version if routing.rollout else ""
            model.direct(routing.default_version, routing.traffic, held)
        model.shadow = routing.shadow if routing else None
        model.max_queued = self.config.limits.max_queued_requests
