"""What V2 says of models: metadata, Triton's configuration and statistics, the repository's index."""

from typing import Any

from serve_app.core.directory import Directory
from serve_app.core.version import State, Version
from serve_app.protocol.metadata import Duration
from serve_app.protocol.tensors import TensorSpec


def metadata(directory: Directory, name: str, version: str) -> dict[str, Any]:
    """`GET /v2/models/{name}`: the signature of the version that would answer."""
    model = directory.model(name)
    chosen = model.pick(version)
    return {
        "name": name,
        "versions": list(model.versions),
        "platform": chosen.about.platform,
        "inputs": [_tensor(spec) for spec in chosen.signature.inputs],
        "outputs": [_tensor(spec) for spec in chosen.signature.outputs],
    }


def config(directory: Directory, name: str, version: str) -> dict[str, Any]:
    """Triton's model configuration, the parts of it that exist here."""
    chosen = directory.model(name).pick(version)
    about = chosen.about
    rows = about.max_batch_size
    found: dict[str, Any] = {
        "name": name,
        "platform": about.platform,
        "backend": about.platform,
        "max_batch_size": rows,
        "input": [_config_tensor(spec, rows) for spec in chosen.signature.inputs],
        "output": [_config_tensor(spec, rows) for spec in chosen.signature.outputs],
    }
    if rows:
        found["dynamic_batching"] = {
            "preferred_batch_size": [rows],
            "max_queue_delay_microseconds": int(about.max_latency * 1000),
        }
    return found


def statistics(directory: Directory, name: str, version: str) -> list[dict[str, Any]]:
    """Counters of this Router replica, per model version."""
    chosen = [directory.model(name)] if name else list(directory.models.values())
    if name and version:
        chosen[0].pick(version)
    return [
        _statistics(one)
        for model in chosen
        for one in model.versions.values()
        if version in ("", one.number)
    ]


def index(directory: Directory, only_ready: bool) -> list[dict[str, str]]:
    """Every model version and its state; sources that have none yet as version ''."""
    rows = []
    for model in directory.models.values():
        for one in model.versions.values():
            state = "READY" if one.state is State.READY else "UNAVAILABLE"
            rows.append(_row(model.name, one.number, state, one.reason))
        for reason in model.waiting.values():
            rows.append(_row(model.name, "", "UNAVAILABLE", reason))
    return [row for row in rows if row["state"] == "READY" or not only_ready]


def _row(name: str, version: str, state: str, reason: str) -> dict[str, str]:
    return {"name": name, "version": version, "state": state, "reason": reason}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _config_tensor(spec: TensorSpec, rows: int) -> dict[str, Any]:
    kind = "STRING" if spec.datatype == "BYTES" else spec.datatype
    dims = list(spec.shape[1:] if rows else spec.shape)
    entry: dict[str, Any] = {"name": spec.name, "data_type": f"TYPE_{kind}", "dims": dims}
    return entry | ({"optional": True} if spec.optional else {})


def _duration(value: Duration) -> dict[str, int]:
    return {"count": value.count, "ns": value.ns}


def _statistics(version: Version) -> dict[str, Any]:
    counters = version.counters
    return {
        "name": version.model,
        "version": version.number,
        "last_inference": counters.last_inference_ms,
        "inference_count": counters.inferences,
        "execution_count": counters.executions,
        "inference_stats": {
            "success": _duration(counters.success),
            "fail": _duration(counters.fail),
            "queue": _duration(counters.queue),
            "compute_input": _duration(Duration()),
            "compute_infer": _duration(counters.infer),
            "compute_output": _duration(Duration()),
        },
        "batch_stats": [
            {
                "batch_size": rows,
                "compute_input": _duration(Duration()),
                "compute_infer": _duration(spent),
                "compute_output": _duration(Duration()),
            }
            for rows, spent in sorted(counters.batches.items())
        ],
    }
