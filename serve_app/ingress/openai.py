"""OpenAI's protocol for the LLMs: requests to their engines, and the answers as they come.

The body goes to the engine as the client sent it, and the engine's answer to the client likewise,
piece by piece. Here it is only decided which model is meant, and what an error looks like that
comes before the engine's own.
"""

from collections.abc import Callable
from typing import Any

import orjson

from serve_app.config import Limits
from serve_app.dataplane import DataPlane, new_id
from serve_app.deadlines import Departures
from serve_app.errors import (
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    TandemError,
)
from serve_app.ingress.asgi import JSON, Headers, Receive, Scope, Send, read_body, respond, watched
from serve_app.ingress.status import HTTP, RETRY_AFTER_SECONDS
from serve_app.model import Model
from serve_app.protocol.generation import failure
from serve_app.protocol.tensors import InferRequest

# Below /v1 and /openai/v1.
ROUTES = ("chat/completions", "completions", "embeddings")
_EVENTS = b"text/event-stream"


class OpenAIApp:
    """Answers POSTs to ROUTES."""

    def __init__(self, plane: DataPlane, limits: Callable[[], Limits]) -> None:
        self.plane, self.limits = plane, limits
        self._relay_watched = watched(self._relay, Departures())

    async def __call__(self, scope: Scope, receive: Receive, send: Send, route: str) -> int:
        """Answer; the status. Disconnected when the client left, which stops the generation."""
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"{scope['method']} is not allowed here, POST is", "POST")
            headers: Headers = dict(scope["headers"])
            body = await read_body(receive, headers, self.limits())
            asked = _asked(body)
            given = headers.get(b"x-request-id", b"").decode("latin-1") or new_id()
            model = self.plane.engine(self._name(asked))
            _can(model, route)
            request = InferRequest(model.name, "", given, [])
            return await self._relay_watched((request, f"/v1/{route}", body, asked, send), receive)
        except TandemError as error:
            return await send_error(send, error)

    def _name(self, asked: dict[str, Any]) -> str:
        name = asked.get("model")
        if name is None and len(engines := self.plane.engines()) == 1:
            return engines[0].name
        if not isinstance(name, str):
            raise InvalidArgument("model: the name of a model is required")
        return name

    async def _relay(self, call: tuple[InferRequest, str, bytes, dict[str, Any], Send]) -> int:
        request, path, body, asked, send = call
        told = 0  # the status that the client has
        try:
            async with self.plane.recorded(request) as (model, version):
                with model.busy(version) as backend:
                    async with backend.ask(path, body, asked) as answer:  # type: ignore[attr-defined]
                        if answer.kind.startswith(_EVENTS):
                            told = answer.status
                            await _pass_on(send, answer)
                        else:
                            whole = await answer.read()
                            told = answer.status
                            await respond(send, told, [whole], [JSON])
                            if told >= 400:
                                raise failure(told, whole)
        except TandemError as error:
            if not told:
                raise
            if told == 200:
                # An error in the stream is what OpenAI's clients look for.
                event = b"data: " + orjson.dumps(_form(error)) + b"\n\n"
                await send({"type": "http.response.body", "body": event})
                return HTTP[type(error)]
        return told


def _can(model: Model, route: str) -> None:
    engine = model.described.engine
    task = "embed" if route == "embeddings" else "generate"
    if engine is not None and task not in engine.tasks:
        raise InvalidArgument(f"model '{model.name}' can't {task}, only {', '.join(engine.tasks)}")


async def _pass_on(send: Send, answer: Any) -> None:
    headers = [(b"content-type", answer.kind), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for piece in answer.body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _asked(body: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"the body is not valid JSON: {error}") from None
    if not isinstance(asked, dict):
        raise InvalidArgument("the body must be a JSON object")
    return asked


def card(model: Model, name: str = "") -> dict[str, Any]:
    """One model as OpenAI lists it."""
    engine = model.described.engine
    assert engine is not None
    about: dict[str, Any] = {"id": name or model.name, "object": "model", "created": engine.created}
    about |= {"owned_by": "tandem", "max_model_len": engine.context}
    return about | ({"parent": model.name} if about["id"] != model.name else {})


def cards(plane: DataPlane) -> dict[str, Any]:
    """`GET /openai/v1/models`: the LLMs and their adapters."""
    data = [card(model, name) for model in plane.engines() for name in model.described.engine.names]  # type: ignore[union-attr]
    return {"object": "list", "data": data}


def _form(error: TandemError) -> dict[str, Any]:
    status = HTTP[type(error)]
    kind = "invalid_request_error" if status < 500 else "server_error"
    code = "model_not_found" if isinstance(error, NotFound) else None
    param = "model" if isinstance(error, NotFound) else None
    message = error.message.encode("utf-8", "replace").decode()
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


async def send_error(send: Send, error: TandemError) -> int:
    """An error in OpenAI's form."""
    status = HTTP[type(error)]
    headers = [JSON]
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    await respond(send, status, [orjson.dumps(_form(error))], headers)
    return status
