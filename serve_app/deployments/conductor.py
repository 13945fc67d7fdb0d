"""Takes the steps that `releases.reconcile` finds, on a Router's data plane."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from serve_app.config import InlineModel, RouterUserConfig
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Model
from serve_app.core.target import Target
from serve_app.core.version import Version
from serve_app.errors import ConfigError, Unavailable
from serve_app.observability.logs import log_loaded
from serve_app.protocol.metadata import ModelDescription
from serve_app.releases import reconcile as steps
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import Actual, Desired, down_since, reconcile, tried
from serve_app.runtimes.freeze_gc import freeze_gc
from serve_app.runtimes.host import ModelHost

log = logging.getLogger("tandem")

MAY_HANG = 3  # threads of an inline model, until it is unavailable
INLINE = ""  # the source of inline models; applications' are their names
Described = tuple[ModelDescription, Mapping[str, Target]]
# Asks an application what it is, and says what can be asked of its versions. Raises Unavailable.
Ask = Callable[[RemoteApp], Coroutine[Any, Any, Described]]


class Conductor:
    """What a Router wants, what it has, and the work under way.

    `on_adopted(config)` is called when a configuration's models were all tried, and `config` is then it.
    """

    def __init__(
        self, plane: DataPlane, ask: Ask, gpu: bool, on_adopted: Callable[[RouterUserConfig], None]
    ) -> None:
        self.config = self._wanted = RouterUserConfig()
        self._plane, self._ask, self._gpu, self._on_adopted = plane, ask, gpu, on_adopted
        self._desired, self._actual = Desired(), Actual(generation=0)
        self._hosts: dict[str, ModelHost] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._followed = False  # else nothing is known of applications

    def configure(self, config: RouterUserConfig) -> None:
        """Want what `config` says, from now on."""
        self._wanted = config
        inline = {model.name: model for model in config.models}
        self._desired = Desired(self._desired.generation + 1, inline, self._desired.applications)
        self.turn()

    def follow(self, applications: Mapping[str, RemoteApp]) -> None:
        """Want the models of these applications, which are all that there are."""
        desired, actual = self._desired, self._actual
        self._desired = Desired(desired.generation, desired.inline, applications)
        self._followed = True
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
        if self._followed and not self._plane.tried:  # once is enough
            self._plane.tried = tried(self._desired, actual)
        self._changed.set()

    def _take(self, step: steps.Step) -> None:
        """Take it, then note that it was taken: thrown out of, it will be taken again."""
        actual, directory = self._actual, self._plane.directory
        match step:
            case steps.Load(config):
                actual.known.add(config.name)
                self._settled(directory.expect(config.name, INLINE))
                actual.loading = config.name
                self._spawn(self._load(config, self._desired.generation))
            case steps.Unload(name):
                removed = directory.remove(name, INLINE)
                actual.known.discard(name)
                actual.inline.pop(name, None)
                actual.failed.pop(name, None)
                self._retire(removed, self._hosts.pop(name, None))
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
                    found.resize(app.name, *_slots(app, found.in_flight(app.name)))
                actual.described[app.name] = app
            case steps.Describe(app):
                actual.describing.add(app.name)
                actual.expected.add(app.name)
                self._spawn(self._describe(app))
            case steps.Forget(name):
                # One that is still there gave its name to an inline model, and answers what it has.
                gone = name not in self._desired.applications
                for model in list(directory.models.values()):
                    if name in model.sources:
                        self._retire(directory.remove(model.name, name, refuse=gone), None)
                actual.expected.discard(name)
                actual.described.pop(name, None)
                actual.trouble.pop(name, None)

    async def _load(self, config: InlineModel, generation: int) -> None:
        actual, name = self._actual, config.name
        host: ModelHost | None = None
        try:
            host = made = ModelHost(
                config, self._gpu, MAY_HANG, lambda reason: self._hangs(made, reason)
            )
            log_loaded(name, await asyncio.to_thread(host.load))
            if self._desired.inline.get(name) == config:
                self._put(config, host)
                host = None  # it serves
        except Exception as error:  # whatever it is: the models behind this one wait for their turn
            reason = str(error)
            if not isinstance(error, ConfigError):
                reason = f"model '{name}': {type(error).__name__}: {error}"
            log.error("%s", reason)
            actual.failed[name] = generation
            known = self._plane.directory.models.get(name)
            if known is not None and name not in self._hosts:
                known.unavailable(INLINE, reason)
        finally:
            actual.loading = ""
            self._retire((), host)
            self.turn()

    def _hangs(self, host: ModelHost, reason: str) -> None:
        """Too much of an inline model hangs, or no longer, without a reason."""
        model = self._plane.directory.models.get(host.name)
        if model is None or self._hosts.get(host.name) is not host:
            return
        if reason:
            model.unavailable(INLINE, reason)
        else:
            model.recovered(INLINE)

    def _put(self, config: InlineModel, host: ModelHost) -> None:
        slots = config.concurrency
        about, targets = host.describe(config.batching, slots), host.targets()
        model = self._plane.directory.expect(config.name, INLINE)
        self._settled(model)
        replaced = model.serve(INLINE, about, targets, slots)
        self._actual.inline[config.name] = config
        old, self._hosts[config.name] = self._hosts.get(config.name), host
        self._retire(replaced, old)

    async def _describe(self, app: RemoteApp) -> None:
        """One that is changing is asked too, where nothing of it is known here: its replicas that run
        serve. It will be asked again when it is settled, and one that fails to answer at the next look.
        """
        actual = self._actual
        try:
            about, targets = await self._ask(app)
            if app.name not in actual.expected:
                return  # forgotten meanwhile
            self._only(app)
            model = self._plane.directory.expect(app.model, app.name)
            self._settled(model)
            replaced = model.serve(app.name, about, targets, *_slots(app, about.in_flight))
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
        actual.trouble.pop(app.name, None)
        self._retire(replaced, None)
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

    def _retire(self, versions: Iterable[Version], host: ModelHost | None) -> None:
        """Let these answer what they have, then give their memory back."""

        async def retire() -> None:
            for version in versions:
                await version.drained()
            if host is not None:
                await asyncio.to_thread(host.close)  # in a thread: it waits for predictions that run

        self._spawn(retire())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)  # the event loop itself keeps only a weak reference
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("work in the background failed", exc_info=error)


def _slots(app: RemoteApp, in_flight: int) -> tuple[int, int]:
    """Batches in flight to all replicas together, and how many of them wait there for their turn.

    A model at zero takes one replica's worth.
    """
    replicas = max(app.running, 1)
    return replicas * in_flight, replicas
