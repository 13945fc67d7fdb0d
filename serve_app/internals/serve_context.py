"""What Serve and Ray say of the process that asks: a replica."""

import ray
from ray import serve


def application() -> str:
    """The name of this replica's application."""
    return str(serve.get_replica_context().app_name)


def max_ongoing_requests() -> int:
    """As this replica's deployment has it."""
    return int(serve.get_replica_context()._deployment_config.max_ongoing_requests)


def has_gpu() -> bool:
    """Whether Ray gave this actor a GPU (or a share of one)."""
    return bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))
