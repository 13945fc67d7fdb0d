"""Triton's generate extension over HTTP: plain JSON in and out; whole, or by server-sent events."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import orjson

from serve_app.config import Limits
from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.core.deadlines import Departures
from serve_app.core.version import Version
from serve_app.errors import InvalidArgument, TandemError
from serve_app.http.asgi import (
    JSON,
    Headers,
    Receive,
    Scope,
    Send,
    call_of,
    read_packed,
    respond,
    watched,
)
from serve_app.ingress.apart import LARGE, Apart
from serve_app.ingress.status import http_status
from serve_app.protocol.generate_codec import encode_response
from serve_app.protocol.generation import whether_streamed
from serve_app.protocol.tensors import InferRequest, InferResponse

_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class GenerateApp:
    """`/generate` and `/generate_stream` of any model that says what its inputs are."""

    def __init__(self, plane: DataPlane, limits: Callable[[], Limits], apart: Apart) -> None:
        self.plane, self.limits, self._apart = plane, limits, apart
        self._infer_watched = watched(plane.infer, Departures())
        self._stream_watched = watched(self._stream, Departures())

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, name: str, version: str | None, verb: str
    ) -> int:
        """Answer; the status. Raises TandemError and Disconnected."""
        headers: Headers = dict(scope["headers"])
        try:
            body, coding = await read_packed(receive, headers, self.limits())
            request, streams, chosen = await self._decode(scope, body, coding, name, version or "")
            streamed = whether_streamed(request) if streams else False
            if verb == "generate" and streamed:
                raise InvalidArgument(
                    f"stream: generate answers at once: POST to /v2/models/{name}/generate_stream"
                )
        except TandemError as error:
            self.plane.refused(call_of(scope, InferRequest(name, version or "", "", [])), error)
            raise
        call = call_of(scope, request)
        call.version = chosen
        if verb == "generate_stream":
            return await self._stream_watched((call, send, streamed is not False), receive)
        given = bool(request.id)
        response = await self._infer_watched(call, receive)
        await respond(send, 200, [encode_response(response, given)], [JSON])
        return 200

    async def _decode(
        self, scope: Scope, body: bytes, coding: bytes, name: str, version: str
    ) -> tuple[InferRequest, bool, Version | None]:
        """The request, whether its model can answer piece by piece, and what traffic chose for it."""
        model = self.plane.directory.model(name)
        bare = call_of(scope, InferRequest(name, version, "", [])) if model.split else None
        chosen = model.pick(version, bare)
        if chosen.cold:
            chosen = await self.plane.awake(name, version, bare)
        if coding or len(body) >= LARGE:
            self.plane.check_room(Call(InferRequest(name, version, "", [])))
        request, streams = await self._by(chosen, body, coding, version)
        if version or not model.split:
            return request, streams, None
        decided = model.decided(chosen, call_of(scope, request))
        if decided.signature != chosen.signature:
            request, streams = await self._by(decided, body, coding, version)
        return request, streams, decided

    async def _by(
        self, chosen: Version, body: bytes, coding: bytes, version: str
    ) -> tuple[InferRequest, bool]:
        name, inputs = chosen.model, chosen.signature.inputs
        streams = chosen.target.streams is not None
        if not inputs:
            raise InvalidArgument(
                f"model '{name}' generates no text, nor does it say what its inputs are: use infer"
            )
        most, about = self.limits().max_body_bytes, (name, version, inputs, streams)
        request, _ = await self._apart.http("generate", body, coding, most, about, len(body))
        return request, streams

    async def _stream(self, asked: tuple[Call, Send, bool]) -> int:
        call, send, streamed = asked
        begun, given = False, bool(call.request.id)
        try:
            async with aclosing(self._responses(call, streamed)) as responses:
                async for response in responses:
                    if not begun:
                        begun = True
                        await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
                    event = b"data: " + encode_response(response, given) + b"\n\n"
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        except TandemError as error:
            if not begun:
                raise
            event = b"data: " + orjson.dumps({"error": error.message}) + b"\n\n"
            await send({"type": "http.response.body", "body": event})
            return http_status(error)
        await send({"type": "http.response.body", "body": b""})
        return 200

    async def _responses(self, call: Call, streamed: bool) -> AsyncGenerator[InferResponse, None]:
        if not streamed:
            yield await self.plane.infer(call)
            return
        async with aclosing(self.plane.stream(call)) as responses:
            async for response in responses:
                yield response
