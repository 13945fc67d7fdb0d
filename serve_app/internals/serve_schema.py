"""Serve's own options and schemas, of a Serve that took no pandas along."""

from serve_app.internals.serve_imports import light

light()  # before anything of Serve's

from ray import serve  # noqa: E402
from ray.serve import config  # noqa: E402
from ray.serve.schema import (  # noqa: E402
    RayActorOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
)

__all__ = [
    "RayActorOptionsSchema",
    "ServeApplicationSchema",
    "ServeDeploySchema",
    "config",
    "serve",
]
