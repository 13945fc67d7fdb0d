"""Serve's controller asked by a driver itself, as the dashboard does for its REST API.

The dashboard's process would import Serve first, a second while everything else waits for it.
"""

from typing import Any

from pydantic import ValidationError
from ray.exceptions import RayTaskError

from serve_app.internals.serve_schema import ServeDeploySchema


def deploy(config: dict[str, Any]) -> str:
    """Hand a config over to the Serve that this process has started; why it isn't taken, or ''."""
    try:
        schema = ServeDeploySchema.model_validate(config)
        client = _client()
        if schema.logging_config:
            client.update_global_logging_config(schema.logging_config)
        client.deploy_apps(schema)
    except (ValidationError, RayTaskError) as error:
        return str(error)
    return ""


def applications() -> dict[str, Any]:
    """Serve's applications by name, as its REST API has them. RayError while it can't be asked."""
    found: dict[str, Any] = _client().get_serve_details()["applications"]
    for one in found.values():  # an Enum, which says its class's name in a text
        one["status"] = str(getattr(one["status"], "value", one["status"]))
    return found


def _client() -> Any:
    from ray.serve.context import _get_global_client  # by serve_schema's Serve, which has no pandas

    return _get_global_client()
