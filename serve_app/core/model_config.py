"""Triton's model configuration, the parts of it that exist here.

By the rules of its model_config.proto: `dims` are without the batch's dimension where there is one,
and never empty; a value without dimensions is of dims [1], reshaped to [].
"""

from typing import Any

from serve_app.core.directory import Model
from serve_app.core.version import Version
from serve_app.protocol.tensors import TensorSpec


def model_config(model: Model, version: Version) -> dict[str, Any]:
    """As JSON has it, and protobuf reads it."""
    about = version.about
    rows = about.max_batch_size
    found: dict[str, Any] = {
        "name": model.name,
        "platform": about.platform,
        "backend": about.platform,
        "version_policy": {"specific": {"versions": [int(one) for one in model.versions if one]}},
        "max_batch_size": rows,
        "input": [_tensor(spec, rows) for spec in version.signature.inputs],
        "output": [_tensor(spec, rows) for spec in version.signature.outputs],
        # Whether a stream may answer one request with several responses.
        "model_transaction_policy": {"decoupled": version.target.streams is not None},
    }
    if rows:
        found["dynamic_batching"] = {
            "preferred_batch_size": [rows],
            "max_queue_delay_microseconds": int(about.max_latency * 1000),
        }
    return found


def _tensor(spec: TensorSpec, rows: int) -> dict[str, Any]:
    kind = "STRING" if spec.datatype == "BYTES" else spec.datatype
    dims = (-1,) if spec.any_rank else spec.dims(batched=rows > 0)
    entry: dict[str, Any] = {
        "name": spec.name,
        "data_type": f"TYPE_{kind}",
        "dims": list(dims) or [1],
    }
    if not dims:
        entry["reshape"] = {"shape": []}
    return entry | ({"optional": True} if spec.optional else {})
