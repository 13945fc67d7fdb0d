"""Triton's generate extension and gRPC streams, over an application that speaks as vLLM's does."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serve_app.config import Limits
from serve_app.ingress.grpc import Servicer
from serve_app.ingress.rest import RestApp
from serve_app.protocol import inference_pb2 as pb
from tests.unit.engines import ABOUT, ENGINE, Talker, backend
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.planes import UNDECLARED, Echo, heard, plane, served

GREEDY = {"max_tokens": 3}
TEXTS = ["a0 ", "1 ", "2 "]


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
def the_plane(talker: Talker) -> Any:
    made = plane()
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    served(made, "m", backend=backend(talker), about=ABOUT, versions=("1",), engine=ENGINE)
    return made


@pytest.fixture
async def http(the_plane: Any) -> Any:
    transport = httpx.ASGITransport(RestApp(the_plane, lambda: Limits()))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(part.removeprefix("data: ")) for part in text.strip().split("\n\n")]


async def test_generate(http: Any, talker: Any) -> None:
    body = {"text_input": ["a", "b"], "id": "7", "parameters": {"temperature": 0}}
    answer = await http.post("/v2/models/m/generate", json=body)
    assert answer.json() == {
        "id": "7", "model_name": "m", "model_version": "1",
        "text_output": ["a!", "b!"], "finish_reason": ["stop", "stop"],
    }  # fmt: skip
    asked = {"model": "m", "prompt": ["a", "b"], "stream": False, "temperature": 0}
    assert talker.asked == [("/v1/completions", asked)]


async def test_null_is_absent(http: Any, talker: Any) -> None:
    nothing = {"id": None, "stream": None, "sampling_parameters": None}
    for parameters in (None, {"temperature": None, "stop": None}):
        body = {"text_input": "a", **nothing, "parameters": parameters}
        assert (await http.post("/v2/models/m/generate", json=body)).status_code == 200
    asked = {"model": "m", "prompt": "a", "stream": False}
    assert talker.asked == [("/v1/completions", asked)] * 2
    answer = await http.post("/v2/models/m/generate", json={"text_input": None})
    assert (answer.status_code, answer.json()["error"]) == (400, "text_input: required, but not there")


async def test_generate_stream(http: Any, the_plane: Any) -> None:
    body = {"text_input": "a", "parameters": {"stream": True, **GREEDY}}
    answer = await http.post("/v2/models/m/versions/1/generate_stream", json=body)
    found = events(answer.text)
    assert [event["text_output"] for event in found] == TEXTS
    assert [event["finish_reason"] for event in found] == ["", "", "length"]
    assert len({event["id"] for event in found}) == 1
    assert heard(the_plane).requests == [("m", "1", "")]


async def test_an_error_in_a_stream_is_its_end(http: Any, the_plane: Any) -> None:
    body = {"text_input": "a", "parameters": {"max_tokens": 13}}
    answer = await http.post("/v2/models/m/generate_stream", json=body)
    assert events(answer.text)[-1] == {"error": "model 'm': the engine is dead"}
    assert heard(the_plane).requests == [("m", "1", "Unavailable")]


async def test_a_stream_that_does_not_begin(http: Any, the_plane: Any, talker: Any) -> None:
    talker.go.clear()
    the_plane.timeout = 0.1
    answer = await http.post("/v2/models/m/generate_stream", json={"text_input": "a"})
    assert (answer.status_code, answer.json()["error"]) == (
        504, "model 'm' gave no answer within 0.1 s",
    )  # fmt: skip
    assert heard(the_plane).requests == [("m", "1", "DeadlineExceeded")]


async def test_errors_before_a_stream(http: Any, talker: Any) -> None:
    answer = await http.post("/v2/models/echo/generate_stream", json={"text_input": "a"})
    assert (answer.status_code, answer.json()["error"]) == (
        400, "model 'echo' generates no text: use infer",
    )  # fmt: skip
    talker.status = 400
    answer = await http.post("/v2/models/m/generate_stream", json={"text_input": "a"})
    assert (answer.status_code, answer.json()["error"]) == (400, "no such thing")
    answer = await http.post("/v2/models/m/generate", json={"text_input": "a", "stream": True})
    assert "generate_stream" in answer.json()["error"]


def message(model: str = "m", stream: bool | None = None, **parameters: Any) -> bytes:
    made = pb.ModelInferRequest(model_name=model, id="7")
    made.inputs.add(name="text_input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"a")
    if stream is not None:
        made.inputs.add(name="stream", datatype="BOOL", shape=[1]).contents.bool_contents.append(stream)
    for name, value in parameters.items():
        kind = "bool_param" if isinstance(value, bool) else "int64_param"
        setattr(made.parameters[name], kind, value)
    return made.SerializeToString()


async def streamed(the_plane: Any, *messages: bytes) -> list[pb.ModelStreamInferResponse]:
    servicer = Servicer(the_plane, Limits)

    async def source() -> AsyncIterator[bytes]:
        for one in messages:
            yield one

    answers = [one.SerializeToString() async for one in servicer.ModelStreamInfer(source(), Context())]
    return [pb.ModelStreamInferResponse.FromString(one) for one in answers]


def said(answer: Any) -> tuple[list[bytes], bool]:
    response = answer.infer_response
    texts = [value for one in response.outputs for value in one.contents.bytes_contents]
    return texts, response.parameters["triton_final_response"].bool_param


async def test_grpc_streams(the_plane: Any) -> None:
    answers = await streamed(
        the_plane, message(max_tokens=2), message("echo"), message(nope=1), message(stream=False)
    )
    assert [one.error_message for one in answers[:3]] == ["", "", ""]
    assert said(answers[0]) == ([b"a0 ", b""], False)
    assert said(answers[1]) == ([b"1 ", b"length"], True)
    assert "triton_final_response" not in answers[2].infer_response.parameters
    assert "parameters.nope: no parameter of a generation" in answers[3].error_message
    assert said(answers[4]) == ([b"a!", b"stop"], True)
    assert {one.infer_response.id for one in answers if not one.error_message} == {"7"}


async def test_an_empty_final_response(the_plane: Any) -> None:
    wanted = message(max_tokens=1, triton_enable_empty_final_response=True)
    first, last = await streamed(the_plane, wanted)
    assert said(first) == ([b"a0 ", b"length"], False)
    assert said(last) == ([], True)


async def test_a_stream_that_breaks(the_plane: Any) -> None:
    *_, last = await streamed(the_plane, message(max_tokens=13))
    assert last.error_message == "model 'm': the engine is dead"
