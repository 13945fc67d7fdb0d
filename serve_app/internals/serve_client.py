"""Serve's controller asked by a driver itself, as the dashboard does for its REST API.

The dashboard's process would import Serve first, a second while everything else waits for it.
"""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from serve_app.errors import ConfigError
from serve_app.internals.serve_details import details
from serve_app.internals.serve_schema import ServeDeploySchema


def start(config: dict[str, Any]) -> Callable[[float], bool]:
    """Start Serve by a config. What it returns says whether the proxies are there, after so many seconds
    at most, which Serve's own `start` waits for at once: meanwhile there is something to deploy.

    ConfigError says what keeps them from starting.
    """
    import ray
    from ray.serve._private.api import _create_controller_and_proxy_refs, _set_global_client
    from ray.serve._private.client import ServeControllerClient
    from ray.serve.config import ControllerOptions

    place = config.get("proxy_location", "EveryNode")
    http, grpc = config["http_options"], config["grpc_options"]
    controller, proxies = _create_controller_and_proxy_refs(
        http, grpc, None, None, ControllerOptions(), place
    )
    _set_global_client(ServeControllerClient(controller))

    def there(seconds: float) -> bool:
        try:
            ray.get(proxies, timeout=seconds)
        except GetTimeoutError:
            return False
        except RayError as error:
            said = "; ".join(str(error).strip().splitlines()[-2:])
            raise ConfigError(f"a proxy of Serve's can't start: {said}") from error
        return True

    return there


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
    found = details(_client())
    for one in found.values():  # an Enum, which says its class's name in a text
        one["status"] = str(getattr(one["status"], "value", one["status"]))
    return found


def _client() -> Any:
    from ray.serve.context import _get_global_client  # by serve_schema's Serve, which has no pandas

    return _get_global_client()
