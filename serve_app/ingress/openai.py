"""OpenAI's protocol for the LLMs: requests to their engines, and the answers as they come.

The body goes to the engine as the client sent it, and the engine's answer to the client likewise,
piece by piece. Here it is only decided which model is meant, and what an error looks like that
comes before the engine's own.
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

from serve_app.config import Limits
from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.core.deadlines import Departures
from serve_app.core.directory import Model
from serve_app.core.target import Relayed
from serve_app.errors import InvalidArgument, TandemError, UnknownModel
from serve_app.http.asgi import JSON, Headers, Receive, Scope, Send, call_of, read_body, respond, watched
from serve_app.ingress.answers import require
from serve_app.ingress.openai_answers import form
from serve_app.ingress.status import http_status
from serve_app.protocol import bounds, elements
from serve_app.protocol.constraints import check_constraints
from serve_app.protocol.openai import Events, check_types, failure
from serve_app.protocol.tensors import InferRequest

# Below /v1 and /openai/v1.
ROUTES = ("chat/completions", "completions", "embeddings")
_PINNED = re.compile(r"(.+):([1-9][0-9]{0,18})")
_EVENTS, _ERROR = b"text/event-stream", b'data: {"error"'


class OpenAIApp:
    """Answers POSTs to ROUTES."""

    def __init__(self, plane: DataPlane, limits: Callable[[], Limits]) -> None:
        self.plane, self.limits = plane, limits
        self._relay_watched = watched(self._relay, Departures())

    async def __call__(self, scope: Scope, receive: Receive, send: Send, route: str) -> int:
        """Answer; the status. Disconnected when the client left, which stops the generation."""
        require("POST", scope["method"])
        headers: Headers = dict(scope["headers"])
        name = ""  # of a model, once it is known
        try:
            body, asked = _asked(await read_body(receive, headers, self.limits()))
            model, version = self._model(asked)
            name = model.name
            if version:  # the engine knows nothing of versions
                asked = {**asked, "model": name}
                body = orjson.dumps(asked)
            _can(model, route)
            check_types(asked)
            check_constraints(asked)
        except TandemError as error:
            self.plane.refused(call_of(scope, InferRequest(name, "", "", [])), error)
            raise
        # What stands in the body is what traffic may go by.
        call = call_of(scope, InferRequest(name, version, "", [], parameters=asked))
        return await self._relay_watched((call, f"/v1/{route}", body, asked, send), receive)

    def _model(self, asked: dict[str, Any]) -> tuple[Model, str]:
        """The one that is meant, and its version where the name says it: `name:version`."""
        name, directory = asked.get("model"), self.plane.directory
        if name is None and len(engines := directory.engines()) == 1:
            return engines[0], ""
        if not isinstance(name, str):
            raise InvalidArgument("model: the name of a model is required")
        if pinned := _PINNED.fullmatch(name):
            model = directory.models.get(pinned[1])
            engine = model and model.engine
            if model and engine and name not in engine.names and pinned[2] in model.versions:
                return model, pinned[2]
        try:
            return directory.engine(name), ""
        except UnknownModel as error:
            raise UnknownModel(f"model: {error.message}") from None

    async def _relay(self, work: tuple[Call, str, bytes, dict[str, Any], Send]) -> int:
        call, path, body, asked, send = work
        told = 0  # the status that the client has
        try:
            async with self.plane.relay(call, path, body, asked) as answer:
                if answer.kind.startswith(_EVENTS) and not answer.first.startswith(_ERROR):
                    told = answer.status
                    await _pass_on(send, answer)
                else:
                    status, whole = _whole(answer.status, await answer.read())
                    if status == 404:  # an adapter that the engine doesn't find
                        raise failure(status, whole)
                    told = status
                    await respond(send, told, [whole], [JSON])
                    if told >= 400:
                        raise failure(told, whole)
        except TandemError as error:
            if not told:
                raise
            if told == 200:
                # An error in the stream is what OpenAI's clients look for.
                event = b"data: " + orjson.dumps(form(error)) + b"\n\n"
                await send({"type": "http.response.body", "body": event})
                return http_status(error)
        return told


def _can(model: Model, route: str) -> None:
    engine = model.engine
    task = "embed" if route == "embeddings" else "generate"
    if engine is not None and task not in engine.tasks:
        raise InvalidArgument(f"model '{model.name}' can't {task}, only {', '.join(engine.tasks)}")


def _whole(status: int, body: bytes) -> tuple[int, bytes]:
    """Status and body. A stream that begins with an error is none: the event knows its status."""
    if not body.startswith(_ERROR):
        return status, body
    event = next(Events().feed(body), None)
    assert event is not None  # it begins with one
    code = event["error"].get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500, orjson.dumps(event)


async def _pass_on(send: Send, answer: Relayed) -> None:
    headers = [(b"content-type", answer.kind), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for piece in answer.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _asked(body: bytes) -> tuple[bytes, dict[str, Any]]:
    """The body as the client sent it, but for keys that are null, and what it says."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"the body is not valid JSON: {error}") from None
    if not isinstance(asked, dict):
        raise InvalidArgument("the body must be a JSON object")
    bounds.check_nesting(asked)
    if (given := elements.given(asked)) is not asked:
        return orjson.dumps(given), given
    return body, asked
