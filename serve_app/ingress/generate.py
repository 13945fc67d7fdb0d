"""Triton's generate extension: a text in, a text out, in plain JSON; whole, or by server-sent events."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import numpy as np
import orjson

from serve_app.config import Limits
from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.core.deadlines import Departures
from serve_app.errors import InvalidArgument, TandemError
from serve_app.http.asgi import JSON, Headers, Receive, Scope, Send, call_of, read_body, respond, watched
from serve_app.ingress.status import http_status
from serve_app.protocol import elements
from serve_app.protocol.generation import INPUTS, STREAM, TEXT
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor

_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_INPUTS = {spec.name: spec for spec in INPUTS}


class GenerateApp:
    """`/generate` and `/generate_stream` of any model that generates text."""

    def __init__(self, plane: DataPlane, limits: Callable[[], Limits]) -> None:
        self.plane, self.limits = plane, limits
        self._infer_watched = watched(plane.infer, Departures())
        self._stream_watched = watched(self._stream, Departures())

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, name: str, version: str | None, verb: str
    ) -> int:
        """Answer; the status. Raises TandemError and Disconnected."""
        headers: Headers = dict(scope["headers"])
        try:
            body = await read_body(receive, headers, self.limits())
            request, stream = decode(body, name, version or "")
        except TandemError as error:
            self.plane.refused(call_of(scope, InferRequest(name, version or "", "", [])), error)
            raise
        if verb == "generate_stream":
            return await self._stream_watched((call_of(scope, request), send), receive)
        if stream:
            raise InvalidArgument(
                f"stream: generate answers at once: POST to /v2/models/{name}/generate_stream"
            )
        response = await self._infer_watched(call_of(scope, request), receive)
        await respond(send, 200, [_encode(response)], [JSON])
        return 200

    async def _stream(self, asked: tuple[Call, Send]) -> int:
        call, send = asked
        begun = False
        try:
            async with aclosing(self.plane.stream(call)) as responses:
                async for response in responses:
                    if not begun:
                        begun = True
                        await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
                    event = b"data: " + _encode(response) + b"\n\n"
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        except TandemError as error:
            if not begun:
                raise
            event = b"data: " + orjson.dumps({"error": error.message}) + b"\n\n"
            await send({"type": "http.response.body", "body": event})
            return http_status(error)
        await send({"type": "http.response.body", "body": b""})
        return 200


def decode(body: bytes, model: str, version: str) -> tuple[InferRequest, bool]:
    """The request, and whether it asks for a stream by itself.

    Keys that name inputs are inputs, whether at the top or not; `parameters` are the generation's.
    """
    message = elements.load_json(body)
    if not isinstance(message, dict):
        raise InvalidArgument(f"the body must be a JSON object with {TEXT}")
    message = elements.given(message)
    parameters = message.pop("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidArgument("parameters must be an object")
    parameters = elements.given(parameters)
    given: dict[str, Any] = {
        **{k: parameters.pop(k) for k in list(parameters) if k in _INPUTS},
        **message,
    }
    request_id = given.pop("id", "")
    if not isinstance(request_id, str):
        raise InvalidArgument("id must be a string")
    stream = given.pop(STREAM, False)
    if not isinstance(stream, bool):
        raise InvalidArgument(f"{STREAM} must be true or false")
    if TEXT not in given:
        raise InvalidArgument(f"{TEXT}: required, but not there")
    inputs = []
    for name, value in given.items():
        if name not in _INPUTS:
            raise InvalidArgument(f"{name}: unknown; known: {', '.join(_INPUTS)}, parameters, id")
        values = value if isinstance(value, list) else [value]
        array = elements.to_array(values, _INPUTS[name].datatype, (len(values),), name)
        inputs.append(Tensor(name, _INPUTS[name].datatype, array))
    return InferRequest(model, version, request_id, inputs, parameters=parameters), stream


def _encode(response: InferResponse) -> bytes:
    """Triton's form: outputs by name beside the model's, a single value without its list."""
    answer: dict[str, Any] = {
        "id": response.id,
        "model_name": response.model,
        "model_version": response.version,
    }
    for tensor in response.outputs:
        values = [_text(value) for value in tensor.data.reshape(-1)]
        answer[tensor.name] = values[0] if len(values) == 1 else values
    return orjson.dumps(answer)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else np.asarray(value).tolist()
