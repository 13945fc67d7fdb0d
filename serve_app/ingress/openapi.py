"""`/openapi.json`: what is served right now, as OpenAPI 3: each model's bodies, answers and errors."""

from typing import Any

from serve_app import __version__
from serve_app.core.dataplane import DataPlane
from serve_app.core.graphs.asked import TRANSFORMER
from serve_app.core.version import Version
from serve_app.errors import TandemError
from serve_app.ingress import openapi_llm
from serve_app.ingress.openapi_parts import (
    JSON,
    OBJECT,
    TOKEN,
    change,
    error_schemas,
    events,
    flags,
    get,
    post,
)
from serve_app.protocol import schemas
from serve_app.protocol.metadata import example_inputs

_ANY_INPUT: list[dict[str, Any]] = [
    {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}
]


def openapi(plane: DataPlane) -> dict[str, Any]:
    """The OpenAPI document of what is served right now."""
    paths: dict[str, Any] = {
        "/v2/health/live": get("Server", "Is the server alive?", flags("live")),
        "/v2/health/ready": get("Server", "Can the server take requests?", flags("ready")),
        "/v2": get("Server", "Name, version, extensions"),
        "/v2/models": get("Server", "The names of all models"),
        "/v2/models/stats": get("Server", "Counters of every model version"),
        "/v2/repository/index": {"post": _index()},
        "/v2/repository/changes": get("Server", "What became of the last configuration, on one Router"),
        "/v1/models": get("Server", "The names of all models, and OpenAI's list of them"),
    }
    changes = "model_repository" in plane.extensions
    for name, model in plane.directory.models.items():
        base = f"/v2/models/{name}"
        paths[base] = get(name, "Inputs, outputs, versions")
        paths[f"{base}/ready"] = get(name, "Can it answer?", flags("ready"))
        paths[f"{base}/config"] = get(name, "Triton model configuration")
        paths[f"{base}/stats"] = get(name, "Counters")
        paths[f"/v1/models/{name}"] = get(name, "V1: can it answer?", flags("ready"))
        if changes:
            for verb in ("load", "unload"):
                paths[f"/v2/repository/models/{name}/{verb}"] = {"post": change(name, verb)}
        for version in ("", *model.versions):
            try:
                picked = model.pick(version)
            except (TandemError, KeyError):
                picked = None
            route = f"{base}/versions/{version}" if version else base
            paths[f"{route}/infer"] = {"post": _inference(name, picked)}
            if picked is None:
                continue
            asked_by_v1 = not version and _asked_by_v1(picked)
            if plane.directory.explainer(name) or picked.explains:
                paths[f"{route}/explain"] = {"post": _inference(name, picked, True)}
                if asked_by_v1:
                    paths[f"/v1/models/{name}:explain"] = {"post": _prediction(name, picked, True)}
            if schemas.has_values(picked.signature.inputs):
                paths[f"{route}/generate"] = {"post": _generation(name, picked)}
                paths[f"{route}/generate_stream"] = {"post": _generation(name, picked, True)}
            if asked_by_v1 and not picked.about.engine:
                paths[f"/v1/models/{name}:predict"] = {"post": _prediction(name, picked)}
    paths |= openapi_llm.routes(plane.directory.engines())
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Tandem",
            "version": __version__,
            "description": "Models behind the Open Inference Protocol (V2).",
        },
        "paths": paths,
        "components": {"schemas": error_schemas(), **(TOKEN if changes else {})},
    }


def _inference(tag: str, version: Version | None, explained: bool = False) -> dict[str, Any]:
    signature = version.signature if version else None
    inputs, outputs = (signature.inputs, signature.outputs) if signature else ([], [])
    if explained:
        outputs = []  # they are the explainer's
    declared = "; ".join(f"{spec.name}: {spec.datatype} {list(spec.shape)}" for spec in inputs)
    engine = version is not None and version.about.engine is not None
    parameters = {**schemas.PARAMETERS, **({"maxProperties": 0} if engine else {})}
    if engine:  # a stream is for generate_stream
        inputs = [spec for spec in inputs if not spec.optional]
    body = {
        "schema": schemas.request(inputs, outputs, parameters, shortest=int(engine)),
        "example": {"inputs": example_inputs(inputs) or _ANY_INPUT},
    }
    about = (
        f"Inputs: {declared or 'any'}. Here -1 is any size, the schema names a few. Data may be "
        "nested lists, too, and binary tensors may follow the JSON (Inference-Header-Content-Length)."
    )
    answer = {
        JSON: {"schema": schemas.response(outputs)},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    }
    summary = "Why it answers so" if explained else "Inference"
    return post(tag, summary, body, answer) | {"description": about}


def _asked_by_v1(version: Version) -> bool:
    """Whether it has rows, or takes whatever document its class does."""
    return schemas.has_rows(version.signature.inputs) or version.about.platform == TRANSFORMER


def _prediction(tag: str, version: Version, explained: bool = False) -> dict[str, Any]:
    inputs = version.signature.inputs
    body = {"schema": OBJECT, "example": {"instances": [_ANY_INPUT[0]["data"]]}}
    if schemas.has_rows(inputs):
        body = {"schema": schemas.rows(inputs), "example": {"instances": schemas.example_rows(inputs)}}
    key = "explanations" if explained else "predictions"
    answer = {**OBJECT, "required": [key], "properties": {key: {}}}
    return post(tag, f"V1: {key[:-1]}", body, {JSON: {"schema": answer}})


def _generation(tag: str, version: Version, streamed: bool = False) -> dict[str, Any]:
    inputs = version.signature.inputs
    schema = schemas.values(inputs, version.about.engine is not None)
    body = {"schema": schema, "example": schemas.example_values(inputs)}
    if streamed:
        return post(tag, "Inputs by name, the answer by server-sent events", body, events())
    answer = {**OBJECT, "required": ["model_name", "model_version"]}
    return post(tag, "Inputs by name, outputs by name", body, {JSON: {"schema": answer}})


def _index() -> dict[str, Any]:
    ready = {"ready": {"type": "boolean", "nullable": True}}
    body = {"schema": {**OBJECT, "properties": ready}, "example": {"ready": True}}
    answer = {JSON: {"schema": {"type": "array", "items": OBJECT}}}
    made = post("Server", "Every model version and its state", body, answer)
    made["requestBody"]["required"] = False
    return made
