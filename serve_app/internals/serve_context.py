"""What Serve and Ray say of the process that asks: a replica."""

import ray
from ray import serve
from ray.serve.context import _set_request_context


def application() -> str:
    """The name of this replica's application."""
    return str(serve.get_replica_context().app_name)


def max_ongoing_requests() -> int:
    """As this replica's deployment has it."""
    return int(serve.get_replica_context()._deployment_config.max_ongoing_requests)


def has_gpu() -> bool:
    """Whether Ray gave this actor a GPU (or a share of one)."""
    return bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))


def set_multiplexed_model(name: str) -> None:
    """For this task: the model that `serve.get_multiplexed_model_id` gives."""
    _set_request_context(multiplexed_model_id=name)
