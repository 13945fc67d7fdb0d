"""`/openapi.json`: what is served right now, as OpenAPI 3: each model's bodies, answers and errors."""

from typing import Any

from serve_app import __version__
from serve_app.core.dataplane import DataPlane
from serve_app.core.version import Version
from serve_app.errors import TandemError
from serve_app.protocol import schemas
from serve_app.protocol.generation import INPUTS
from serve_app.protocol.metadata import example_inputs

_ANY_INPUT = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}]
_STATUSES = {
    400: "The request is wrong, and the error says where",
    404: "No such model or version (any more)",
    405: "The URL is there for another method",
    413: "The body is larger than the limit",
    415: "A Content-Encoding other than gzip and deflate",
    500: "The model's own code failed",
    501: "Not implemented",
    503: "Not ready, or too many requests wait",
    504: "No answer within the time limit",
}
_LOOKS = (404, 405, 500, 503)  # of what reads no body
_OBJECT: dict[str, Any] = {"type": "object"}
_TEXT: dict[str, Any] = {"type": "string"}


def openapi(plane: DataPlane) -> dict[str, Any]:
    """The OpenAPI document of what is served right now."""
    paths: dict[str, Any] = {
        "/v2/health/live": _get("Server", "Is the server alive?", _flags("live")),
        "/v2/health/ready": _get("Server", "Can the server take requests?", _flags("ready")),
        "/v2": _get("Server", "Name, version, extensions"),
        "/v2/models": _get("Server", "The names of all models"),
        "/v2/models/stats": _get("Server", "Counters of every model version"),
        "/v2/repository/index": {"post": _index()},
        "/v2/repository/changes": _get("Server", "What became of the last configuration, on one Router"),
        "/v1/models": _get("Server", "The names of all models, and OpenAI's list of them"),
    }
    for name, model in plane.directory.models.items():
        base = f"/v2/models/{name}"
        paths[base] = _get(name, "Inputs, outputs, versions")
        paths[f"{base}/ready"] = _get(name, "Can it answer?", _flags("ready"))
        paths[f"{base}/config"] = _get(name, "Triton model configuration")
        paths[f"{base}/stats"] = _get(name, "Counters")
        paths[f"/v1/models/{name}"] = _get(name, "V1: can it answer?", _flags("ready"))
        for version in ("", *model.versions):
            try:
                picked = model.pick(version)
            except (TandemError, KeyError):
                picked = None
            route = f"{base}/versions/{version}" if version else base
            paths[f"{route}/infer"] = {"post": _inference(name, picked)}
            if picked and picked.about.engine:
                paths[f"{route}/generate"] = {"post": _generation(name)}
            elif picked and not version and schemas.has_rows(picked.signature.inputs):
                paths[f"/v1/models/{name}:predict"] = {"post": _prediction(name, picked)}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Tandem",
            "version": __version__,
            "description": "Models behind the Open Inference Protocol (V2).",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}
            }
        },
    }


def _inference(tag: str, version: Version | None) -> dict[str, Any]:
    signature = version.signature if version else None
    inputs, outputs = (signature.inputs, signature.outputs) if signature else ([], [])
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
        "application/json": {"schema": schemas.response(outputs)},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    }
    return _post(tag, "Inference", body, answer) | {"description": about}


def _prediction(tag: str, version: Version) -> dict[str, Any]:
    inputs = version.signature.inputs
    body = {"schema": schemas.rows(inputs), "example": {"instances": schemas.example_rows(inputs)}}
    answer = {**_OBJECT, "required": ["predictions"], "properties": {"predictions": {}}}
    return _post(tag, "V1: prediction", body, {"application/json": {"schema": answer}})


def _generation(tag: str) -> dict[str, Any]:
    text = schemas.element("BYTES", shortest=1)
    schema = {
        **_OBJECT,
        "required": ["text_input"],
        "properties": {"text_input": text},
        "additionalProperties": False,  # what else goes is the engine's to say
    }
    body = {"schema": schema, "example": {"text_input": (INPUTS[0].example or ["A"])[0]}}
    return _post(tag, "A text in, a text out", body, {"application/json": {"schema": _OBJECT}})


def _index() -> dict[str, Any]:
    ready = {"ready": {"type": "boolean", "nullable": True}}
    body = {"schema": {**_OBJECT, "properties": ready}, "example": {"ready": True}}
    answer = {"application/json": {"schema": {"type": "array", "items": _OBJECT}}}
    made = _post("Server", "Every model version and its state", body, answer)
    made["requestBody"]["required"] = False
    return made


def _flags(name: str) -> dict[str, Any]:
    return {**_OBJECT, "required": [name], "properties": {name: {"type": "boolean"}}}


def _get(tag: str, summary: str, schema: dict[str, Any] = _OBJECT) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": _answer("OK", {"application/json": {"schema": schema}})}
    answers |= _errors(*_LOOKS)
    if "ready" in schema.get("properties", {}):
        either = {"anyOf": [schema, _ERROR]}
        answers["503"] = _answer("Not ready", {"application/json": {"schema": either}})
    return {"get": {"tags": [tag], "summary": summary, "responses": answers}}


def _post(tag: str, summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [tag],
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": _answer("OK", answer), **_errors(*_STATUSES)},
    }


_ERROR = {"$ref": "#/components/schemas/Error"}


def _errors(*statuses: int) -> dict[str, Any]:
    content = {"application/json": {"schema": _ERROR}}
    return {str(status): _answer(_STATUSES[status], content) for status in statuses}


def _answer(text: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": content}
