"""What an LLM answers to one request of a ModelStreamInfer: several responses, the last marked."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.generation import REASON, STREAM
from serve_app.protocol.tensors import InferResponse, RequestedOutput

FINAL = "triton_final_response"
# Asks for the mark in a response of its own, without outputs.
_EMPTY_FINAL = "triton_enable_empty_final_response"


async def generated(
    plane: DataPlane, call: Call, streams: bool
) -> AsyncGenerator[tuple[InferResponse, bytes], None]:
    """Responses, each with its parameters on the wire (to be appended: protobuf merges them).

    `streams`: whether the model is an LLM. Raises TandemError.
    """
    request = call.request
    if not streams:
        yield await plane.infer(call), b""
        return
    empty = bool(request.parameters.pop(_EMPTY_FINAL, False))
    asked = next((one.data for one in request.inputs if one.name == STREAM), np.array([True]))
    wanted = request.outputs
    request.outputs = None  # all: the reason marks the end
    if not asked.all():
        response = _only(await plane.infer(call), wanted)
        yield response, _mark(not empty)
    else:
        async with aclosing(plane.stream(call)) as pieces:
            async for piece in pieces:
                last = any(bool(t.data[0]) for t in piece.outputs if t.name == REASON)
                response = _only(piece, wanted)
                yield response, _mark(last and not empty)
    if empty:
        yield InferResponse(response.model, response.version, response.id, []), _mark(True)


def _only(response: InferResponse, wanted: list[RequestedOutput] | None) -> InferResponse:
    if wanted is not None:
        names = [output.name for output in wanted]
        response.outputs = [tensor for tensor in response.outputs if tensor.name in names]
    return response


def _mark(final: bool) -> bytes:
    message = pb.ModelInferResponse()
    message.parameters[FINAL].bool_param = final
    return message.SerializeToString()
