"""Prompts of one gRPC stream, over an application that speaks as vLLM's does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from serve_app.config import Limits
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import inference_pb2 as pb
from tests.unit.engines import ABOUT, ENGINE, Talker, backend
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.planes import plane, served
from tests.unit.waiting import until


@pytest.fixture
def talker() -> Talker:
    made = Talker()
    made.go.clear()
    return made


async def streamed(talker: Talker, *messages: bytes) -> list[bytes]:
    made = plane()
    served(made, "m", backend=backend(talker), about=ABOUT, versions=("1",), engine=ENGINE)

    async def source() -> AsyncIterator[bytes]:
        for one in messages:
            yield one

    async with aclosing(Servicer(made, Limits).ModelStreamInfer(source(), Context())) as answers:
        return [one.SerializeToString() async for one in answers]


def message(**parameters: int) -> bytes:
    made = pb.ModelInferRequest(model_name="m", id="7")
    made.inputs.add(name="text_input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"a")
    for name, value in parameters.items():
        made.parameters[name].int64_param = value
    return made.SerializeToString()


async def test_prompts_of_one_stream_are_generated_together(talker: Talker) -> None:
    talker.go.clear()
    running = asyncio.create_task(streamed(talker, *[message(max_tokens=2)] * 8))
    await until(lambda: len(talker.asked) == 8)  # all of them before the first has a word
    talker.go.set()
    assert len(await running) == 16


async def test_a_client_that_leaves_a_stream_ends_all_that_it_asked_for(talker: Talker) -> None:
    talker.go.clear()
    running = asyncio.create_task(streamed(talker, *[message(max_tokens=2)] * 3))
    await until(lambda: len(talker.asked) == 3)
    running.cancel()
    await until(lambda: talker.left == 3)


async def test_images_are_refused_by_name(talker: Talker) -> None:
    """Triton's backend has an input for them; vLLM's completions, which answer here, take texts."""
    made = pb.ModelInferRequest.FromString(message())
    made.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"aGk=")
    (answer,) = await streamed(talker, made.SerializeToString())
    error = pb.ModelStreamInferResponse.FromString(answer).error_message
    assert error.startswith("tensor 'image' is not an input of this model: expected text_input, ")
    assert talker.asked == []
