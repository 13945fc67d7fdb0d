"""What Serve's controller says of its applications."""

from collections.abc import Mapping
from typing import Any

from ray.serve.context import _get_global_client

from serve_app.internals.serve_details import details, got


def serve_applications() -> Mapping[str, Any]:
    """Serve's applications as the controller describes them. Blocks for a call or two; RayError where
    it doesn't answer.

    `serve.status` gives the same as pydantic models: tens of milliseconds with the interpreter held,
    each second, in the process that answers requests.

    While an application is built anew, and when that failed, the controller names no deployments of
    it, although those from before run on: they are added, as far as `releases.applications` reads them.
    """
    client = _get_global_client()
    applications = details(client)
    bare = {name: app for name, app in applications.items() if not app["deployments"]}
    if bare:
        for deployment, replicas in got(client._controller._all_running_replicas.remote()).items():
            if replicas and deployment.app_name in bare:
                bare[deployment.app_name]["deployments"][deployment.name] = {
                    "message": "",
                    "replicas": [
                        {"replica_id": one.replica_id.unique_id, "state": "RUNNING"} for one in replicas
                    ],
                }
    return applications
