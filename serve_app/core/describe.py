"""What V2 says of models: metadata, Triton's configuration and statistics, the repository's index."""

import contextlib
from typing import Any

from serve_app.core.cold import ANY
from serve_app.core.directory import Directory
from serve_app.core.model_config import model_config
from serve_app.core.version import State, Version
from serve_app.errors import NOT_HERE, Unavailable
from serve_app.protocol.metadata import Compute, Duration
from serve_app.protocol.tensors import TensorSpec
from serve_app.redact import redacted


def metadata(directory: Directory, name: str, version: str) -> dict[str, Any]:
    """`GET /v2/models/{name}`: the signature of the version that would answer."""
    model = directory.model(name)
    chosen = model.pick(version)
    signature, batched = chosen.signature, chosen.about.max_batch_size > 0
    return {
        "name": name,
        "versions": [number for number in model.versions if number != ANY],
        "platform": chosen.about.platform,
        "inputs": [_tensor(spec, spec.asked(batched)) for spec in signature.inputs],
        "outputs": [_tensor(spec, spec.shape) for spec in signature.outputs],
        **({"properties": signature.properties} if signature.properties else {}),
    }


def config(directory: Directory, name: str, version: str) -> dict[str, Any]:
    """Triton's model configuration, of the version that would answer."""
    model = directory.model(name)
    return model_config(model, model.pick(version))


def statistics(directory: Directory, name: str, version: str) -> list[dict[str, Any]]:
    """Counters of this Router replica, per model version."""
    chosen = [directory.model(name)] if name else list(directory.models.values())
    if name and version:
        chosen[0].pick(version)
    return [
        _statistics(one)
        for model in chosen
        for one in model.versions.values()
        if version in ("", one.number) and one.number != ANY
    ]


def index(directory: Directory, only_ready: bool) -> list[dict[str, str]]:
    """Every model version and its state; sources that have none yet, and what is being fetched beside
    versions that answer, as version ''.

    What is ready has a reason where a change that was to replace it was refused; versions that the
    change was to bring have rows, too.
    """
    rows = []
    for model in directory.models.values():
        for one in model.versions.values():
            state = "UNAVAILABLE" if one.cold or one.state is State.DRAINING else one.state.value
            reason = one.reason or refused(model.why_old(one)) or (NOT_HERE if one.cold else "")
            rows.append(_row(model.name, one.number, state, reason))
        for number, reason in model.missing().items():
            rows.append(_row(model.name, number, "UNAVAILABLE", refused(reason)))
        for number, reason in model.unserved().items():
            if number not in model.missing():
                rows.append(_row(model.name, number, "UNAVAILABLE", reason))
        if model.coming and model.versions:
            rows.append(_row(model.name, "", "LOADING", model.coming))
        for reason in model.waiting.values():
            rows.append(_row(model.name, "", "UNAVAILABLE", reason))
    # As Triton has them: in the repository, and not loaded.
    rows += [
        _row(name, "", "UNAVAILABLE", "unloaded")
        for name in sorted(directory.unloaded - directory.models.keys())
    ]
    return [row for row in rows if row["state"] == "READY" or not only_ready]


def traffic(directory: Directory, name: str) -> dict[str, Any]:
    """How requests that name no version are shared: what is configured, each version's part of it."""
    model = directory.model(name)
    split, main = model.split, ""
    with contextlib.suppress(Unavailable):
        main = model.pick().number
    shares = split.shares if split else {main: 100.0}
    named = dict.fromkeys([*model.versions, *(split.traffic.weights if split else ())])
    rows = []
    for number in sorted(named.keys() - {ANY}, key=int):
        version = model.versions.get(number)
        ready = version is not None and version.state is State.READY
        rows.append(
            {
                "version": number,
                "weight": split.traffic.weights.get(number, 0) if split else shares.get(number, 0),
                "share": round(shares.get(number, 0), 6),
                "state": "READY" if ready else "UNAVAILABLE",
                "requests": version.counters.success.count if version else 0,
                "failed": version.counters.fail.count if version else 0,
            }
        )
    said = split.traffic.model_dump(mode="json", by_alias=True, exclude_defaults=True) if split else None
    return {"name": model.name, "traffic": said, "versions": rows}


def refused(reason: str) -> str:
    """What is said of that which goes on although it was to be changed."""
    return f"a change was refused: {reason}" if reason else ""


def _row(name: str, version: str, state: str, reason: str) -> dict[str, str]:
    return {"name": name, "version": version, "state": state, "reason": redacted(reason)}


def _tensor(spec: TensorSpec, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(shape)}


def _duration(value: Duration) -> dict[str, int]:
    return {"count": value.count, "ns": value.ns}


def _compute(spent: Compute) -> dict[str, dict[str, int]]:
    return {
        "compute_input": _duration(spent.input),
        "compute_infer": _duration(spent.infer),
        "compute_output": _duration(spent.output),
    }


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
            **_compute(counters.compute),
            "cache_hit": _duration(Duration()),  # there is no cache of answers
            "cache_miss": _duration(Duration()),
        },
        "batch_stats": [
            {"batch_size": rows, **_compute(spent)} for rows, spent in sorted(counters.batches.items())
        ],
    }
