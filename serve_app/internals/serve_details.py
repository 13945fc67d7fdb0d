"""Serve's controller asked for what it knows, with an end."""

from typing import Any

ASKED_S = 20.0  # a controller that is started anew keeps whoever asks waiting, for as long as that takes


def details(client: Any) -> dict[str, Any]:
    """Applications by name, as Serve's REST API has them. Blocks; RayError where they can't be had."""
    asked = client._controller.get_serve_instance_details.remote()
    found: dict[str, Any] = got(asked)["applications"]
    return found


def got(asked: Any) -> Any:
    """What the controller answers. Blocks; GetTimeoutError, a RayError, where it doesn't."""
    import ray

    return ray.get(asked, timeout=ASKED_S)
