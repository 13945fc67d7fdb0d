"""Asking an application what it is."""

import asyncio
from typing import Any

from ray import serve
from ray.exceptions import RayError

from serve_app.core.paths import Paths
from serve_app.deployments.conductor import Described
from serve_app.errors import TandemError, Unavailable
from serve_app.hop.remote import RemoteApplication
from serve_app.llm.target import EngineTarget
from serve_app.releases.applications import RemoteApp

DESCRIBE_TIMEOUT_S = 60


def asking(paths: Paths) -> Any:
    """How a Router asks; calls to what it finds are counted in `paths`."""

    async def ask(app: RemoteApp) -> Described:
        try:
            handle = serve.get_deployment_handle(app.ingress, app.name)
            application = RemoteApplication(app.model, handle, paths)
            async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
                about = await application.describe()
        except (TandemError, RayError, TimeoutError) as error:
            raise Unavailable(str(error) or type(error).__name__) from None
        if about.engine:
            target = EngineTarget(app.model, handle, about.engine, paths).target()
            return about, dict.fromkeys(about.versions, target)
        return about, application.targets(about.versions)

    return ask
