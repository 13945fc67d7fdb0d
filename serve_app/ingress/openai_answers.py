"""What OpenAI's clients read that doesn't come from an engine: the lists of models, and errors."""

from typing import Any

from serve_app.core.dataplane import DataPlane
from serve_app.errors import TandemError, UnknownModel
from serve_app.ingress.status import http_status


def card_of(plane: DataPlane, name: str) -> dict[str, Any]:
    """An LLM or an adapter as OpenAI lists it; {} when `name` is neither, or not known to be one yet."""
    try:
        model = plane.directory.engine(name)
    except UnknownModel:
        return {}
    engine = model.engine
    if engine is None:
        return {}
    about = {"id": name, "object": "model", "created": engine.created, "owned_by": "tandem"}
    about["max_model_len"] = engine.context
    return about | ({"parent": model.name} if name != model.name else {})


def cards(plane: DataPlane) -> dict[str, Any]:
    """`GET /openai/v1/models`: the LLMs and their adapters."""
    engines = (model.engine for model in plane.directory.engines())
    names = [name for engine in engines if engine for name in engine.names]
    return {"object": "list", "data": [card_of(plane, name) for name in names]}


def form(error: TandemError) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    status = http_status(error)
    kind = "invalid_request_error" if status < 500 else "server_error"
    code, param = ("model_not_found", "model") if isinstance(error, UnknownModel) else (None, None)
    message = error.message.encode("utf-8", "replace").decode()
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
