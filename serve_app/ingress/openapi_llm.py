"""OpenAI's routes in `/openapi.json`: its list of models always, the others where an LLM serves them."""

from collections.abc import Iterable
from typing import Any

from serve_app.core.directory import Model
from serve_app.ingress.openapi_parts import JSON, OBJECT, OPENAI_ERROR, events, get, post

_TAG = "OpenAI"
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_MESSAGE = {
    **OBJECT,
    "required": ["role", "content"],
    "properties": {"role": {"type": "string", "enum": ["user"]}, "content": _TEXT},
    "additionalProperties": False,
}
# By route: who can, what it is called, and the one key that is required beside `model`.
_ROUTES: dict[str, tuple[str, str, str, dict[str, Any], Any]] = {
    "chat/completions": (
        "generate", "A chat goes on", "messages",
        {"type": "array", "minItems": 1, "maxItems": 1, "items": _MESSAGE},
        [{"role": "user", "content": "Beautiful is better than"}],
    ),
    "completions": ("generate", "A text goes on", "prompt", _TEXT, "Beautiful is better than"),
    "embeddings": ("embed", "A text as numbers", "input", _TEXT, "Beautiful is better than ugly"),
}  # fmt: skip
_MORE = (
    "Below /openai/v1 as well. All of OpenAI's keys may follow that vLLM knows; with `stream: true` the "
    "answer comes as server-sent events."
)


def routes(engines: Iterable[Model]) -> dict[str, Any]:
    """The paths, for these LLMs."""
    paths: dict[str, Any] = {
        "/openai/v1/models": get(_TAG, "The LLMs and their adapters", error=OPENAI_ERROR)
    }
    names: dict[str, list[str]] = {"generate": [], "embed": []}
    for model in engines:
        engine = model.engine
        for name in engine.names if engine else ():
            paths[f"/openai/v1/models/{name}"] = get(_TAG, "What it is", error=OPENAI_ERROR)
        for task in engine.tasks if engine else ():
            names.setdefault(task, []).extend(engine.names if engine else ())
    for route, (task, summary, key, schema, example) in _ROUTES.items():
        if known := names[task]:
            paths[f"/v1/{route}"] = {"post": _post(known, task, summary, key, schema, example)}
    return paths


def _post(
    names: list[str], task: str, summary: str, key: str, schema: dict[str, Any], example: Any
) -> dict[str, Any]:
    properties = {"model": {"type": "string", "enum": names}, key: schema}
    asked = {"model": names[0], key: example}
    if task == "generate":
        properties["max_tokens"] = {"type": "integer", "minimum": 1, "maximum": 8}
        asked["max_tokens"] = 8
    body = {
        "schema": {
            **OBJECT,
            "required": ["model", key],
            "properties": properties,
            "additionalProperties": False,
        },
        "example": asked,
    }
    answer = {JSON: {"schema": OBJECT}, **events()}
    return post(_TAG, summary, body, answer, OPENAI_ERROR) | {"description": _MORE}
