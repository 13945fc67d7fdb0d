"""`/openapi.json`: what is served right now, as OpenAPI 3."""

from typing import Any

from serve_app import __version__
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Model
from serve_app.errors import Unavailable
from serve_app.protocol.metadata import example_inputs

_ANY_INPUT = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}]


def openapi(plane: DataPlane) -> dict[str, Any]:
    """The OpenAPI document of what is served right now."""
    paths: dict[str, Any] = {
        "/v2/health/live": {"get": _operation("Server", "Is the server alive?")},
        "/v2/health/ready": {"get": _operation("Server", "Can the server take requests?")},
        "/v2": {"get": _operation("Server", "Name, version, extensions")},
        "/v2/models": {"get": _operation("Server", "The names of all models")},
        "/v2/models/stats": {"get": _operation("Server", "Counters of every model version")},
        "/v2/repository/index": {"post": _operation("Server", "Every model version and its state")},
    }
    for name, model in plane.directory.models.items():
        base = f"/v2/models/{name}"
        paths[base] = {"get": _operation(name, "Inputs, outputs, versions")}
        paths[f"{base}/ready"] = {"get": _operation(name, "Can it answer?")}
        paths[f"{base}/config"] = {"get": _operation(name, "Triton model configuration")}
        paths[f"{base}/stats"] = {"get": _operation(name, "Counters")}
        paths[f"{base}/infer"] = {"post": _inference(name, _example(model))}
        for version in model.versions:
            route = f"{base}/versions/{version}/infer"
            paths[route] = {"post": _inference(name, _example(model, version))}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Tandem",
            "version": __version__,
            "description": "Models behind the Open Inference Protocol (V2).",
        },
        "paths": paths,
    }


def _example(model: Model, version: str = "") -> dict[str, Any]:
    try:
        specs = model.pick(version).signature.inputs
    except Unavailable:
        specs = []
    return {"inputs": example_inputs(specs) or _ANY_INPUT}


def _operation(tag: str, summary: str) -> dict[str, Any]:
    return {"tags": [tag], "summary": summary, "responses": {"200": {"description": "OK"}}}


def _inference(tag: str, example: dict[str, Any]) -> dict[str, Any]:
    errors = {"400": "The request is wrong", "404": "No such model or version", "503": "Not ready"}
    body = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {
        "tags": [tag],
        "summary": "Inference",
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": "The outputs"}}
        | {status: {"description": text} for status, text in errors.items()},
    }
