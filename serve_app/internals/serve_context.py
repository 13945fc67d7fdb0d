"""What Serve and Ray say of the process that asks: a replica."""

from typing import Any

import ray
from ray import serve
from ray.serve.context import _set_request_context
from ray.serve.exceptions import RayServeException


def application() -> str:
    """The name of this replica's application."""
    return str(serve.get_replica_context().app_name)


def replica_id() -> str:
    """The name of this replica, as Serve's status has it."""
    return str(serve.get_replica_context().replica_id.unique_id)


def in_replica() -> bool:
    """Whether this process is a replica, and not a proxy."""
    try:
        serve.get_replica_context()
    except RayServeException:
        return False
    return True


def deployment() -> Any:
    """The object of the deployment in this process; None outside of a replica, and while one begins."""
    try:
        return serve.get_replica_context().servable_object
    except RayServeException:
        return None


def max_ongoing_requests() -> int:
    """As this replica's deployment has it."""
    return int(serve.get_replica_context()._deployment_config.max_ongoing_requests)


def first_user_config() -> dict[str, Any]:
    """The `user_config` that this replica is started with; `reconfigure` gets it when servers run."""
    return dict(serve.get_replica_context()._deployment_config.user_config or {})


def has_gpu() -> bool:
    """Whether Ray gave this actor a GPU (or a share of one)."""
    return bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))


def set_multiplexed_model(name: str) -> None:
    """For this task: the model that `serve.get_multiplexed_model_id` gives."""
    _set_request_context(multiplexed_model_id=name)
