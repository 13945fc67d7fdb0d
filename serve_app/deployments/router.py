"""Router: holds the data plane, the inline models and the handles to the remote ones.

What it knows comes from two places: its `user_config` (inline models, routing, limits), applied in
place by `reconfigure`, and Serve's status, read every `discoveryInterval` seconds.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any

from ray import serve
from ray.exceptions import RayError

from serve_app.config import InlineModel, RouterUserConfig, parse
from serve_app.core.dataplane import DataPlane
from serve_app.core.model import Backend, Model, Serving
from serve_app.errors import ConfigError, TandemError
from serve_app.hop.remote import RemoteBackend
from serve_app.internals.serve_context import application, has_gpu, max_ongoing_requests
from serve_app.internals.serve_status import serve_applications
from serve_app.llm.target import EngineBackend
from serve_app.observability.logs import log_loaded, log_request
from serve_app.observability.metrics import RayMetrics
from serve_app.protocol.metadata import ModelDescription
from serve_app.releases.applications import RemoteApp, remote_apps
from serve_app.runtimes.freeze_gc import freeze_gc
from serve_app.runtimes.host import ModelHost

log = logging.getLogger("tandem")

DESCRIBE_TIMEOUT_S = 60
# A Router that starts beside models that run takes no request until it knows them, or for so long.
FIRST_LOOK_S = 10
# So long requests wait for a replica to come back before they are refused.
DOWN_GRACE_S = 10


class Router:
    """Everything of the ingress actor but the wire, which `serve_app.app` adds."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Serve awaits it
        self.plane = DataPlane(RayMetrics())
        self.config = RouterUserConfig()
        self.limits = self.config.limits
        self._inline: set[str] = set()
        self._hosts: dict[str, ModelHost] = {}
        self._configured = False
        self._wanted: RouterUserConfig | None = None
        self._taking = asyncio.Lock()
        self._apps: dict[str, RemoteApp | None] = {}  # as last described; None: to do again
        self._describing: set[str] = set()
        self._down_since: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._apply(self.config)
        self._discovery = asyncio.create_task(self._discover())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                while not self.plane.ready or self._describing:  # noqa: ASYNC110 - two things
                    await asyncio.sleep(0.05)

    async def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Apply a `user_config` in place.

        A wrong one stops a Router that starts; a running one keeps what it has, because Serve
        would kill it if this raised. A model that doesn't load is unavailable, with the reason.

        A running one loads after this has returned: as long as it lasts, Serve takes the replica
        out of HAProxy's list, and requests would wait for it to come back.
        """
        try:
            config = parse(RouterUserConfig, user_config or {}, "user_config")
            _check_batches(config.models)
        except ConfigError as error:
            if not self._configured:
                raise
            log.error("the new user_config is refused, the old one stays: %s", error)
            return
        if self._configured:
            self._wanted = config
            self._spawn(self._follow_config(config))
        else:
            await self._take(config)
            self._configured = True

    async def _follow_config(self, config: RouterUserConfig) -> None:
        """One after the other; what is no longer wanted when its turn comes is left out."""
        async with self._taking:
            if config is self._wanted:
                await self._take(config)

    async def _take(self, config: RouterUserConfig) -> None:
        """Load what is new, drop what is gone."""
        keep = {model.name for model in config.models}
        for name in self._inline - keep:
            self.plane.models.pop(name).close()
            if host := self._hosts.pop(name, None):
                self._retire(host)
        self._inline = keep
        for model in config.models:
            if not ((old := self._hosts.get(model.name)) and old.config == model):
                await self._load(model)
        self._apply(config)
        freeze_gc(5_000)

    async def _load(self, config: InlineModel) -> None:
        """Load a new or changed inline model beside what serves, then put it in its place."""
        model = self.plane.models.setdefault(config.name, Model(config.name, self.plane.metrics))
        host = ModelHost(config, gpu=has_gpu())
        try:
            log_loaded(config.name, await asyncio.to_thread(host.load))
        except ConfigError as error:
            log.error("%s", error)
            if config.name not in self._hosts:
                model.stop_serving(str(error))
            self._retire(host)
            return
        slots = config.concurrency
        replaced = model.serve(host.describe(config.batching, slots), host, slots)
        if old := self._hosts.get(config.name):
            self._retire(old, replaced)
        self._hosts[config.name] = host

    def _retire(self, host: ModelHost, serving: Serving | None = None) -> None:
        async def retire() -> None:
            if serving is not None:
                await serving.over()
            await asyncio.to_thread(host.close)  # in a thread: it waits for predictions that run

        self._spawn(retire())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)  # the event loop itself keeps only a weak reference
        task.add_done_callback(self._background.discard)

    def _apply(self, config: RouterUserConfig) -> None:
        self.config = config
        self.limits = config.limits
        self.plane.timeout = config.limits.timeout
        self.plane.access_log = log_request if config.logging.requests else None
        for model in self.plane.models.values():
            self._settle(model)

    def _settle(self, model: Model) -> None:
        """What the configuration decides about a model, wherever it is placed."""
        routing = self.config.routing.get(model.name)
        model.default_version = routing.default_version if routing else None
        model.max_queued = self.config.limits.max_queued_requests

    async def _discover(self) -> None:
        """Follow Serve's status for as long as this replica lives."""
        own = application()
        while True:
            try:
                apps = remote_apps(await asyncio.to_thread(serve_applications))
                apps.pop(own, None)
                self._follow(apps)
                self.plane.ready = True
            except Exception:
                log.exception("reading Serve's status failed; the models stay as they are")
            await asyncio.sleep(self.config.discovery_interval)

    def _follow(self, apps: dict[str, RemoteApp]) -> None:
        for name in [name for name in self.plane.models if name not in apps]:
            if name not in self._inline:
                self.plane.models.pop(name).close()
                self._apps.pop(name, None)
        for name, app in apps.items():
            if name in self._inline:
                continue  # an inline model of that name goes first; `tandem check` refuses it
            model = self.plane.models.get(name)
            if not app.ingress and not app.failed:
                continue  # being built: a new one isn't known to be a model, an old one serves on
            if model is None:
                model = self.plane.models[name] = Model(name, self.plane.metrics)
                self._settle(model)
            if app.failed or self._down_too_long(app):
                self._apps[name] = None
                model.stop_serving(f"its application is {app.status}: {app.message}")
            elif name not in self._apps:
                model.reason = f"its application is {app.status}"
            known = self._apps.get(name)
            if app == known or name in self._describing:
                continue
            if not app.settled and (model.ready or not app.running):
                continue  # what serves goes on, and what doesn't answer yet needn't be asked
            if known and known.stamp == app.stamp:
                # Only scaled. Not described again: asking would wake a model that went to zero.
                self._apps[name] = app
                model.resize(*_slots(app, model.described))
            else:
                self._describing.add(name)
                self._spawn(self._describe(model, app))

    def _down_too_long(self, app: RemoteApp) -> bool:
        if not app.down:
            self._down_since.pop(app.name, None)
            return False
        return time.monotonic() - self._down_since.setdefault(app.name, time.monotonic()) > DOWN_GRACE_S

    async def _describe(self, model: Model, app: RemoteApp) -> None:
        """Ask an application what it is, then serve it (again).

        One that is changing is asked too, where nothing of it is known here: its replicas that run
        serve. It will be asked again when it is settled.
        """
        try:
            handle = serve.get_deployment_handle(app.ingress, app.name)
            backend: Backend = (remote := RemoteBackend(app.name, handle))
            async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
                description = await remote.describe()
            if description.engine:
                backend = EngineBackend(app.name, handle, description.engine)
        except (TandemError, RayError, TimeoutError) as error:
            log.warning("model %s doesn't describe itself yet: %s", app.name, error)
            return
        finally:
            self._describing.discard(app.name)
        if self.plane.models.get(app.name) is model:
            self._apps[app.name] = app if app.settled else None
            model.serve(description, backend, *_slots(app, description))


def _slots(app: RemoteApp, description: ModelDescription) -> tuple[int, int]:
    """Batches in flight to all replicas together, and how many of them wait there for their turn.

    A model at zero takes one replica's worth.
    """
    replicas = max(app.running, 1)
    return replicas * description.in_flight, replicas


def _check_batches(models: list[InlineModel]) -> None:
    limit = max_ongoing_requests()
    for model in models:
        if model.batching and model.batching.max_batch_size > limit:
            raise ConfigError(
                f"user_config.models '{model.name}': maxBatchSize {model.batching.max_batch_size} "
                f"is larger than the Router's max_ongoing_requests {limit}: it would never fill"
            )
