"""What Serve's controller says of its applications."""

from collections.abc import Mapping
from typing import Any

from ray.serve.context import _get_global_client


def serve_applications() -> Mapping[str, Any]:
    """Serve's applications as the controller describes them. Blocks for one call.

    `serve.status` gives the same as pydantic models: tens of milliseconds with the interpreter held,
    each second, in the process that answers requests.
    """
    client = _get_global_client()
    applications: Mapping[str, Any] = client.get_serve_details()["applications"]
    return applications
