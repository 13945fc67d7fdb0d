"""ModelStreamInfer, request by request: one response, or an LLM's several, the last of them marked.

As Triton has it: every response says whether it is its request's last (`triton_final_response`), an
error carries its request's id and model, and a request may ask for that mark in a response of its own.
"""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from serve_app.core.call import Call, Headers, new_id
from serve_app.core.dataplane import DataPlane
from serve_app.errors import TandemError
from serve_app.ingress.apart import LARGE
from serve_app.ingress.grpc_answers import INTERNAL
from serve_app.protocol import grpc_codec
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.generation import whether_streamed
from serve_app.protocol.tensors import InferRequest, InferResponse
from serve_app.protocol.wire import Buffer, joined

log = logging.getLogger("tandem")

_FINAL = "triton_final_response"
# Asks for the mark in a response of its own, without outputs.
_EMPTY_FINAL = "triton_enable_empty_final_response"
_RESPONSE = pb.ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER

Decode = Callable[[Buffer, Headers], tuple[Call, bool]]
DecodeApart = Callable[[Buffer, Headers], Awaitable[tuple[Call, bool]]]


class StreamInfer:
    """What each request of one stream is answered with. `decode`, `apart` as Servicer's."""

    def __init__(self, plane: DataPlane, decode: Decode, apart: DecodeApart, headers: Headers) -> None:
        self._plane, self._decode, self._apart, self._headers = plane, decode, apart, headers

    def begin(self, data: bytes) -> tuple[AsyncGenerator[bytes, None], bool]:
        """Its responses, and whether they keep their place among the others'."""
        if len(data) >= LARGE:
            return self._later(data), True
        try:
            call, typed = self._decode(data, self._headers)
        except TandemError as error:
            return _one(_failed(grpc_codec.addressed(data, error), error.message)), True
        return self._begun(call, typed)

    def _begun(self, call: Call, typed: bool) -> tuple[AsyncGenerator[bytes, None], bool]:
        # A name in the stream's metadata is not one request's alone.
        call.request.id = call.request.id or new_id()
        decoupled = self._plane.decoupled(call.request.model, call.request.version)
        found = self._generated(call, typed) if decoupled else self._answered(call, typed)
        return _guarded(call, found), not decoupled

    async def _later(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Of a large one, which may be decoded elsewhere."""
        try:
            call, typed = await self._apart(data, self._headers)
        except TandemError as error:
            yield _failed(grpc_codec.addressed(data, error), error.message)
            return
        answers, _ = self._begun(call, typed)
        async with aclosing(answers):
            async for answer in answers:
                yield answer

    async def _answered(self, call: Call, typed: bool) -> AsyncGenerator[bytes, None]:
        response = await self._plane.infer(call)
        began = time.monotonic()
        answer = _encoded(response, typed, True)
        self._plane.encoded(call, time.monotonic() - began)
        yield answer

    async def _generated(self, call: Call, typed: bool) -> AsyncGenerator[bytes, None]:
        request = call.request
        empty = bool(request.parameters.get(_EMPTY_FINAL, False))
        passed = self._plane.passes(request.model, request.version)
        if not passed and whether_streamed(request) is False:
            response = await self._plane.infer(call)
            yield _encoded(response, typed, not empty)
        else:
            async with aclosing(self._plane.stream(call)) as pieces:
                async for response in pieces:
                    yield _encoded(response, typed, response.final and not empty)
        if empty and not (response.final and not response.outputs):
            last_one = InferResponse(response.model, response.version, response.id, [])
            yield _encoded(last_one, typed, True)


async def _one(answer: bytes) -> AsyncGenerator[bytes, None]:
    yield answer


async def _guarded(call: Call, answers: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same, an error as the last of them."""
    request = call.request
    try:
        async with aclosing(answers):
            async for answer in answers:
                yield answer
        return
    except TandemError as error:
        message = error.message
    except Exception as error:
        log.error("the ingress itself failed", exc_info=error)
        message = INTERNAL
    yield _failed(request, message)


def _failed(request: InferRequest, message: str) -> bytes:
    answer = pb.ModelStreamInferResponse(error_message=message)
    about = answer.infer_response
    about.id, about.model_name, about.model_version = request.id, request.model, request.version
    about.parameters[_FINAL].bool_param = True
    return answer.SerializeToString()


def _encoded(response: InferResponse, typed: bool, final: bool) -> bytes:
    # The mark is appended: protobuf merges what comes twice.
    parts = [*grpc_codec.encode_response(response, typed), _MARKS[final]]
    return b"".join(joined(b"", _RESPONSE, [b"".join(parts)]))


def _mark(final: bool) -> bytes:
    message = pb.ModelInferResponse()
    message.parameters[_FINAL].bool_param = final
    return message.SerializeToString()


_MARKS = {final: _mark(final) for final in (True, False)}
