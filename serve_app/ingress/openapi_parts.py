"""What the operations of `/openapi.json` are made of."""

from typing import Any

STATUSES = {
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
OBJECT: dict[str, Any] = {"type": "object"}
ERROR, OPENAI_ERROR = "Error", "OpenAIError"  # their forms, by the names of their schemas
TOKEN = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
JSON, EVENTS = "application/json", "text/event-stream"


def flags(name: str) -> dict[str, Any]:
    """An object that says yes or no under `name`."""
    return {**OBJECT, "required": [name], "properties": {name: {"type": "boolean"}}}


def get(tag: str, summary: str, schema: dict[str, Any] = OBJECT, error: str = ERROR) -> dict[str, Any]:
    """A path that is looked at."""
    answers: dict[str, Any] = {"200": answer("OK", {JSON: {"schema": schema}})}
    answers |= _errors(_LOOKS, error)
    if "ready" in schema.get("properties", {}):
        either = {"anyOf": [schema, _reference(error)]}
        answers["503"] = answer("Not ready", {JSON: {"schema": either}})
    return {"get": {"tags": [tag], "summary": summary, "responses": answers}}


def post(
    tag: str, summary: str, body: dict[str, Any], content: dict[str, Any], error: str = ERROR
) -> dict[str, Any]:
    """An operation that takes `body` and answers with `content`, by content types."""
    return {
        "tags": [tag],
        "summary": summary,
        "requestBody": {"required": True, "content": {JSON: body}},
        "responses": {"200": answer("OK", content), **_errors(STATUSES, error)},
    }


def change(tag: str, verb: str) -> dict[str, Any]:
    """Load or unload, for who has the token."""
    body = {
        "schema": {**OBJECT, "properties": {"parameters": OBJECT}},
        "example": {"parameters": {}},
    }
    made = post(tag, f"{verb.capitalize()} it on every Router", body, {})
    made["requestBody"]["required"] = False
    made["security"] = [{"token": []}]
    made["responses"]["401"] = answer("The token isn't right", {JSON: {"schema": _reference(ERROR)}})
    return made


def answer(text: str, content: dict[str, Any]) -> dict[str, Any]:
    """One of an operation's answers."""
    return {"description": text, "content": content}


def events() -> dict[str, Any]:
    """Server-sent events, which OpenAPI 3.0 has no words for."""
    return {EVENTS: {}}


def error_schemas() -> dict[str, Any]:
    """The schemas that errors refer to."""

    def around(schema: dict[str, Any]) -> dict[str, Any]:
        return {**OBJECT, "required": ["error"], "properties": {"error": schema}}

    text = {"type": "string"}
    about = {**OBJECT, "required": ["message", "type"], "properties": {"message": text, "type": text}}
    return {ERROR: around(text), OPENAI_ERROR: around(about)}


def _errors(statuses: Any, error: str) -> dict[str, Any]:
    content = {JSON: {"schema": _reference(error)}}
    return {str(status): answer(STATUSES[status], content) for status in statuses}


def _reference(error: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{error}"}
