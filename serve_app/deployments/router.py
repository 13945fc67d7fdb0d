"""Router: holds the data plane and its two edges.

What it knows comes from two places: its `user_config` (inline models, routing, limits), applied in
place by `reconfigure`, and Serve's status, read every `discoveryInterval` seconds. What follows from
them is `serve_app.releases.reconcile`'s to say.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray.exceptions import RayError
from ray.serve.handle import DeploymentHandle

from serve_app.config import Admin, InlineModel, Limits, RouterUserConfig, parse
from serve_app.core.call import Call
from serve_app.core.dataplane import EXTENSIONS, DataPlane
from serve_app.core.explaining import one_of
from serve_app.core.later import AGAIN
from serve_app.core.observer import Observer
from serve_app.core.paths import Paths
from serve_app.deployments.changing import Changing
from serve_app.deployments.conductor import Conductor
from serve_app.deployments.explained import telling
from serve_app.deployments.live import LiveChanges
from serve_app.deployments.payloads import Payloads
from serve_app.deployments.remote import asking, refresh
from serve_app.deployments.rolling import RouterRollouts
from serve_app.deployments.shadowing import Shadowing
from serve_app.deployments.stores import store_of
from serve_app.errors import ConfigError
from serve_app.hop.failures import first_line
from serve_app.ingress.admin import AdminApp
from serve_app.ingress.apart import Apart
from serve_app.ingress.fast_path import RouterApp
from serve_app.ingress.grpc import GrpcIngress, Servicer
from serve_app.ingress.rest import ByServe, RestApp
from serve_app.internals.grpc_servers import limit_received
from serve_app.internals.ray_notes import call, left, progress
from serve_app.internals.serve_context import (
    application,
    first_user_config,
    has_gpu,
    max_ongoing_requests,
    replica_id,
)
from serve_app.internals.serve_http import near_haproxy
from serve_app.internals.serve_replica import ServeReplica
from serve_app.internals.serve_status import serve_applications
from serve_app.observability.logs import RequestLog
from serve_app.observability.metrics import RayMetrics
from serve_app.observability.output import heard
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.rest_codec import tensors_from
from serve_app.protocol.tensors import Arrays, InferRequest, RequestedOutput
from serve_app.releases.applications import RemoteApp, changing, remote_apps, runs
from serve_app.routing.tally import Pair

log = logging.getLogger("tandem")

# A Router that starts beside models that run takes no request until it knows them, or for so long.
FIRST_LOOK_S = 10
REPOSITORY = ["model_repository", "model_repository(unload_dependents)"]  # as Triton names them
EARLY = "TANDEM_ANSWER_EARLY"  # a variable: nobody waits for this cluster to be complete
SHORTEST_LOOK_S = 0.1  # from one look at Serve's status to the next, however urgent


class Router(GrpcIngress):
    """The one application with a route."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, admin: dict[str, Any] | None = None, steward: DeploymentHandle[Any] | None = None
    ) -> None:
        self._admin = parse(Admin, admin, "args.admin") if admin is not None else None
        self._steward = steward
        near_haproxy()
        with heard():
            await self._begin()

    async def _begin(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.paths = Paths()
        self._metrics = RayMetrics(self.paths)
        self.plane = DataPlane(self._metrics)
        self.plane.router = replica_id()
        self._shadowing = Shadowing(self.plane, self._compared)
        self._listeners: tuple[Observer, ...] = ()
        self._metrics.watch(self.plane.directory)
        self._conductor = Conductor(self.plane, asking(self.paths), has_gpu(), self._adopt, refresh)
        self.limits = self._conductor.config.limits
        apart = Apart()
        self.rest = RestApp(self.plane, lambda: self.limits, self.paths, apart)
        self.servicer = Servicer(self.plane, lambda: self.limits, apart)
        self.servicer.idle.most = max(1, max_ongoing_requests() // 2)  # of Serve's places
        limit_received(_message_limit(first_user_config(), self._admin))
        self._payloads = Payloads(self.rest, self.plane.router)
        self._live: LiveChanges | None = None
        if self._admin is not None and self._steward is not None:
            self._live = self._with_live_changes(self._admin, self._steward)
            await self._live.first()
        self._configured = False
        self._relied_on = True
        self._looked = asyncio.Event()
        self._looking = ThreadPoolExecutor(1, "serve-status")  # nothing else holds it up
        self._discovery = asyncio.create_task(self._discover())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._looked.wait()
                await self._conductor.described()

    def __serve_build_asgi_app__(self) -> ByServe:
        return ByServe(self.rest)

    def fast_path(self, serve: Any, replica: ServeReplica) -> RouterApp:
        """V2 before Serve wraps it."""
        return RouterApp(serve, replica, self)

    async def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Apply a `user_config` in place.

        A wrong one stops a Router that starts; a running one keeps what it has, because Serve
        would kill it if this raised. A model that doesn't load is unavailable, with the reason.

        A running one loads after this has returned: as long as it lasts, Serve takes the replica
        out of HAProxy's list, and requests would wait for it to come back. One that starts loads
        before, because others wait for it to be complete: a rollout, KubeRay's switch to a new cluster.
        The first one under `tandem run` is all there is, and each model answers when it is there.
        """
        try:
            config = parse(RouterUserConfig, user_config or {}, "user_config")
            _check_batches(config.models)
            _check_rollouts(config, self._admin)
        except ConfigError as error:
            if not self._configured:
                raise
            log.error("the new user_config is refused, the old one stays: %s", error)
            self._conductor.refuse(str(error))
            return
        self._conductor.configure(self._live.over(config) if self._live else config)
        self._conductor.look.set()
        if not self._configured:
            if self._relied_on:
                await self._conductor.adopted()
            else:
                self._conductor.begin()
            self._configured = True
            if self._live is not None:
                self._conductor.background.spawn(self._live.run())
                self._conductor.background.spawn(self._rolling.run())

    def _with_live_changes(self, admin: Admin, steward: DeploymentHandle[Any]) -> LiveChanges:
        directory, own = self.plane.directory, application()
        live = LiveChanges(
            self.plane.router, steward, store_of(admin, own), self._conductor, directory,
            admin.poll_interval > 0,
        )  # fmt: skip
        live.shadows = lambda: self._shadowing.plain
        live.observe = self._observe
        self.plane.live = live.differs
        self._rolling = RouterRollouts(live, steward, directory)
        changing = Changing(admin, live, steward, directory, _check_batches)
        self.rest.admin = self.servicer.admin = AdminApp(admin, changing, lambda: self.limits)
        self.plane.extensions = [*EXTENSIONS, *REPOSITORY]
        return live

    @telling
    async def ask(
        self, model: str, version: str, inputs: Arrays, output: str, seconds: float, id: str, who: str
    ) -> Arrays:
        """What a model answers, for an explainer: a request as any other, in the queue with them."""
        number = one_of(self.plane.directory, model, version)
        request = InferRequest(model, number, id, tensors_from(inputs, list(inputs)))
        request.outputs = [RequestedOutput(output)] if output else None
        request.parameters = {"timeout": max(1, int(seconds * 1e6))}
        return (await self.plane.infer(Call(request, principal=who, verb="explain"))).arrays

    @telling
    async def signature(self, model: str, version: str) -> VersionDescription:
        """What a model takes and answers, for an explainer."""
        return (await self.plane.awake(model, version)).signature

    def generation(self) -> int:
        """Which configuration is served: its own number, else how many there were so far."""
        return self._conductor.config.generation or self._conductor.generation

    def _adopt(self, config: RouterUserConfig) -> None:
        self.limits, self.rest.cors = config.limits, config.cors
        self.plane.timeout, self.plane.strict = config.limits.timeout, config.strict_readiness
        self.plane.directory.room.most = max_ongoing_requests()
        self.plane.exception_texts = config.exception_texts
        self._listeners = (*self._payloads.configure(config), *self._shadowing.configure(config))
        self._observe()
        if self._conductor.generation:
            self._metrics.serves(self.generation())

    def _compared(self, model: str, pair: Pair, differs: bool) -> None:
        """A shadow's answer beside the one that a client got: rollouts go by that too."""
        if self._live is not None:
            self._live.counting.compared(model, pair.primary, pair.shadow, differs)

    def _observe(self) -> None:
        """Who hears of calls; what is off hears nothing."""
        each: list[Observer] = [self._metrics]
        if self._conductor.config.logging.requests:
            each.append(RequestLog())
        if self._live is not None and self._live.counting.active:
            each.append(self._live.counting)
        self.plane.observers.each = (*each, *self._listeners)

    def __del__(self) -> None:
        if hasattr(self, "_payloads"):  # Serve calls this when a replica has drained
            self._payloads.close()

    def _follow(self, found: Mapping[str, Any], apps: Mapping[str, RemoteApp], own: str) -> None:
        mine, seen = found.get(own) or {}, apps
        if self._live is not None:
            seen = self._live.visible(found, apps, lambda: self._follow(found, apps, own))
        self._conductor.follow(seen, changing(mine), mine.get("last_deployed_time_s") or 0.0)

    async def _discover(self) -> None:
        """Follow Serve's status for as long as this replica lives."""
        own, conductor = application(), self._conductor
        while True:
            try:
                looking = self.loop.run_in_executor(self._looking, _looked_at)
            except RuntimeError:
                return  # this process ends, and its threads take no more work
            try:
                found, apps = await looking
                apps.pop(own, None)
                mine = found.get(own) or {}
                if not self._looked.is_set():
                    self._relied_on = os.environ.get(EARLY) != "1" or runs(mine)
                self._follow(found, apps, own)
                self._looked.set()
            except RayError as error:  # the controller is away, or everything is being stopped
                text = "Serve's status can't be read, the models stay as they are: %s"
                log.warning(text, first_line(error))
            except Exception:
                log.exception("reading Serve's status failed; the models stay as they are")
            await asyncio.sleep(SHORTEST_LOOK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(conductor.config.discovery_interval - SHORTEST_LOOK_S):
                    await conductor.look.wait()
            conductor.look.clear()


def _looked_at() -> tuple[Mapping[str, Any], dict[str, RemoteApp]]:
    """Serve's applications, and the models among them; what is still coming says how far it is."""
    found = serve_applications()
    apps = remote_apps(found)
    for name, app in apps.items():
        if app.status == "DEPLOYING" and (said := left(progress(name))):
            if AGAIN in said:
                call(name, app.stamp)
            if not app.running:
                apps[name] = dataclasses.replace(app, message=said)
            elif AGAIN in said:
                apps[name] = dataclasses.replace(app, trying=said)
    return found, apps


def _message_limit(user_config: dict[str, Any], admin: Admin | None = None) -> int:
    """What gRPC itself refuses: a little more than `maxBodyBytes`, or than the files of a load may have,
    of which our own errors speak.
    """
    try:
        limits = parse(RouterUserConfig, user_config).limits
    except ConfigError:  # `reconfigure` says so
        limits = Limits()
    most = max(limits.max_body_bytes, admin.max_upload_bytes + 2**20 if admin else 0)
    return min(most + 2**20, 2**31 - 1)


def _check_rollouts(config: RouterUserConfig, admin: Admin | None) -> None:
    for name, routing in config.routing.items() if admin is None else ():
        if routing.rollout:
            raise ConfigError(
                f"user_config.routing.{name}.rollout: a rollout needs a Steward, which keeps it: "
                "`admin` in the args of this application (docs/releases.md)"
            )


def _check_batches(models: list[InlineModel]) -> None:
    limit = max_ongoing_requests()
    for model in models:
        if model.batching and model.batching.max_batch_size > limit:
            raise ConfigError(
                f"user_config.models '{model.name}': maxBatchSize {model.batching.max_batch_size} "
                f"is larger than the Router's max_ongoing_requests {limit}: it would never fill"
            )
