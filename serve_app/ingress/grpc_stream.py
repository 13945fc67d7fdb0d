"""What an LLM answers to one request of a ModelStreamInfer: several responses, the last marked."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.generation import whether_streamed
from serve_app.protocol.tensors import InferResponse

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
    if whether_streamed(request) is False:
        response = await plane.infer(call)
        yield response, _mark(not empty)
    else:
        async with aclosing(plane.stream(call)) as pieces:
            async for response in pieces:
                yield response, _mark(response.final and not empty)
    if empty:
        yield InferResponse(response.model, response.version, response.id, []), _mark(True)


def _mark(final: bool) -> bytes:
    message = pb.ModelInferResponse()
    message.parameters[FINAL].bool_param = final
    return message.SerializeToString()
