"""The keys of Triton's model configuration that have a meaning here, as Tandem's. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from serve_app.errors import InvalidArgument, shown

_BACKENDS = {
    "onnxruntime": "onnx", "onnxruntime_onnx": "onnx", "pytorch": "torch", "pytorch_libtorch": "torch",
}  # fmt: skip
_TRITONS = {
    "backend", "platform", "max_batch_size", "version_policy", "dynamic_batching", "instance_group",
    "input", "output", "parameters", "default_model_filename", "optimization", "sequence_batching",
    "ensemble_scheduling", "model_warmup", "runtime", "cc_model_filenames", "metric_tags", "batch_input",
    "batch_output", "model_operations", "model_transaction_policy", "model_repository_agents",
    "response_cache", "scheduling_choice",
}  # fmt: skip


def entry_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same in Tandem's keys. What Triton knows and Tandem doesn't is refused by its name."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if key not in _TRITONS:
            found[key] = value
        elif reader := _READERS.get(key):
            found |= reader(value)
        elif value:
            raise InvalidArgument(
                f"config.{key}: Triton's, and without a meaning here; Tandem's keys are in "
                "docs/keys.md, A model inside the Router"
            )
    return found


def _backend(value: Any, key: str = "backend") -> dict[str, Any]:
    if value in (None, ""):
        return {}
    if not isinstance(value, str) or value not in _BACKENDS:
        raise InvalidArgument(f"config.{key}: expected {', '.join(_BACKENDS)}, got {shown(value)}")
    return {"modelFormat": _BACKENDS[value]}


def _batch(value: Any) -> dict[str, Any]:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidArgument(f"config.max_batch_size: expected a number, got {shown(value)}")
    return {"batching": {"maxBatchSize": value} if value else None}


def _versions(value: Any) -> dict[str, Any]:
    if value in (None, {}, {"all": {}}):
        return {"versions": "all"}
    if value in ({"latest": {}}, {"latest": {"num_versions": 1}}):
        return {"versions": "latest"}
    match value:
        case {"latest": {"num_versions": int(number)}} if number > 1:
            return {"versions": {"latest": number}}
        case {"specific": {"versions": [*numbers]}}:
            return {"versions": numbers}
    raise InvalidArgument(
        "config.version_policy: expected all, latest with num_versions or specific with versions, "
        f"got {shown(value)}"
    )


_READERS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "backend": _backend,
    "platform": lambda value: _backend(value, "platform"),
    "max_batch_size": _batch,
    "version_policy": _versions,
    "dynamic_batching": lambda value: {},  # batching is always that
}
