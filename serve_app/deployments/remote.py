"""Asking an application what it is, and having it look at its files."""

import asyncio
import logging
from typing import Any
from weakref import WeakValueDictionary

from ray import serve
from ray.exceptions import RayActorError, RayError

from serve_app.core.paths import Paths
from serve_app.deployments.applications import Described
from serve_app.errors import TandemError, Unavailable
from serve_app.hop.failures import first_line
from serve_app.hop.remote import RemoteApplication
from serve_app.llm.target import EngineTarget
from serve_app.releases.applications import REPLICA, RemoteApp
from serve_app.releases.telling import Said, Told

log = logging.getLogger("tandem")

DESCRIBE_TIMEOUT_S = 60
REFRESH_TIMEOUT_S = 3600  # to load a model


def asking(paths: Paths) -> Any:
    """How a Router asks; calls to what it finds are counted in `paths`.

    An application of which versions serve is called as before, so that they may stay what they are.
    """
    known = WeakValueDictionary[tuple[str, str, str], RemoteApplication]()

    def application_of(app: RemoteApp) -> RemoteApplication:
        which = app.name, app.ingress, app.model
        found = known.get(which)
        if found is None or found.abandoned:
            handle = serve.get_deployment_handle(app.ingress, app.name)
            found = known[which] = RemoteApplication(app.model, handle, paths)
        return found

    async def ask(app: RemoteApp) -> Described:
        try:
            application = application_of(app)
            async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
                about = await application.describe()
        except TimeoutError:
            raise Unavailable(f"it hasn't said within {DESCRIBE_TIMEOUT_S} s what it is") from None
        except (TandemError, RayError) as error:
            raise Unavailable(str(error) or type(error).__name__) from None
        if about.engine:
            target = EngineTarget(app.model, application.handle, about.engine, paths).target()
            return about, dict.fromkeys(about.versions, target)
        return about, application.targets(about.versions)

    return ask


async def refresh(app: RemoteApp, moment: float, late: bool = False) -> Told:
    """Let every replica load what changed by that moment; `late`: those that haven't looked since then.

    All that answer count, whatever becomes of the others.
    """
    if not app.running:
        return Told()  # they read what there is when they come
    replicas, again = set[str](), list[float]()
    reasons, silent = list[str](), list[str]()
    for deployment in sorted({REPLICA, app.ingress}):
        for one in await _broadcast(deployment, app, moment, late):
            if isinstance(one, RayActorError):  # another one in its place is told when it is there
                log.info("a replica of %s ended while it was told of its files", app.name)
            elif isinstance(one, BaseException):
                log.warning("%s of %s can't look at its files: %s", deployment, app.name, one)
                silent.append(f"a {deployment} can't look at its files: {first_line(one)}")
            else:
                replica, reason, seconds = one
                replicas.add(replica)
                reasons += [reason] if reason else []
                again += [seconds] if seconds else []
    return Told(frozenset(replicas), next(iter(reasons + silent), ""), min(again, default=0.0))


async def _broadcast(
    deployment: str, app: RemoteApp, moment: float, late: bool
) -> list[Said | BaseException]:
    try:
        handle = serve.get_deployment_handle(deployment, app.name)
        await handle.describe.remote()  # only an answered handle knows all the replicas there are
        said = handle.broadcast("refresh", moment, late)
        found: list[Said | BaseException]
        found = await said.results_async(timeout_s=REFRESH_TIMEOUT_S, return_exceptions=True)
        return found
    except Exception as error:
        return [error]
