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
        "id": "7", "model_name": "m", "model_version": "1", "text_output": ["aa!", "bb!"],
    }  # fmt: skip
    asked = {"model": "m", "prompt": ["a", "b"], "stream": False, "temperature": 0}
    assert talker.asked == [("/v1/completions", asked)]


@pytest.mark.parametrize("given", [{}, {"id": ""}, {"id": None}], ids=str)
@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
async def test_an_id_comes_back_only_where_one_was_given(http: Any, verb: str, given: Any) -> None:
    answer = await http.post(f"/v2/models/m/{verb}", json={"text_input": "a", **given})
    assert answer.status_code == 200
    assert '"id"' not in answer.text


OPTIONS = {
    "exclude_input_in_output": True, "return_finish_reason": True, "return_cumulative_logprob": True,
    "return_num_input_tokens": True, "return_num_output_tokens": True, "return_logprobs": True,
    "stream": False, "max_tokens": 1,
}  # fmt: skip


@pytest.mark.parametrize("at_top", [True, False], ids=["top", "parameters"])
async def test_tritons_options_at_the_top_and_in_parameters(http: Any, at_top: bool) -> None:
    body = {"text_input": "a", **(OPTIONS if at_top else {"parameters": OPTIONS})}
    answer = await http.post("/v2/models/m/generate", json=body)
    assert answer.json() == {
        "model_name": "m", "model_version": "1", "text_output": "a!", "finish_reason": "stop",
        "cumulative_logprob": -1.0, "logprobs": "null", "num_input_tokens": 1, "num_output_tokens": 2,
    }  # fmt: skip


async def test_infer_answers_what_was_asked_for(http: Any) -> None:
    asked = {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}]}
    answer = await http.post("/v2/models/m/infer", json=asked)
    (text,) = answer.json()["outputs"]
    assert (text["name"], text["data"]) == ("text_output", ["aa!", "bb!"])
    for more in (
        {"outputs": [{"name": "finish_reason"}]},
        {"outputs": [{"name": "finish_reason"}], "parameters": {"return_logprobs": True}},
    ):
        answer = await http.post("/v2/models/m/infer", json=asked | more)
        (reason,) = answer.json()["outputs"]
        assert (reason["name"], reason["data"]) == ("finish_reason", ["stop", "stop"])
    more = {"parameters": {"return_num_input_tokens": True, "exclude_input_in_output": True}}
    text, count = (await http.post("/v2/models/m/infer", json=asked | more)).json()["outputs"]
    assert (text["data"], count["datatype"], count["data"]) == (["a!", "b!"], "UINT32", [1, 1])


async def test_a_stream_that_was_not_wanted_is_one_event(http: Any) -> None:
    answer = await http.post("/v2/models/m/generate_stream", json={"text_input": "a", "stream": False})
    (event,) = events(answer.text)
    assert event == {"model_name": "m", "model_version": "1", "text_output": "aa!"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "text_input: required"),
        ([], "must be a JSON object with text_input"),
        ({"text_input": None}, "text_input: required"),
        ({"text_input": 5}, "tensor 'text_input': data must hold strings, got 5"),
        ({"text_input": {"a": 1}}, "tensor 'text_input': data must hold strings"),
        (
            {"text_input": "a", "stream": "no"},
            "tensor 'stream': data must hold true or false, got \"no\"",
        ),
        ({"text_input": "a", "return_logprobs": 1}, "tensor 'return_logprobs': data must hold true"),
        (
            {"text_input": "a", "stream": [True, False]},
            "'stream': expected shape [1] (-1 is any), got 2",
        ),
        ({"text_input": "a", "parameters": 5}, "parameters must be an object, got 5"),
        ({"text_input": "a", "id": 5}, "id must be a string, got 5"),
        ({"text_input": "a", "top_q": 1}, "parameters.top_q: no parameter of a generation"),
        (
            {"text_input": "a", "parameters": {"text_input": "b"}},
            "text_input: given twice, at the top and in parameters",
        ),
        (
            {"text_input": "a", "max_tokens": 1, "parameters": {"max_tokens": 2}},
            "max_tokens: given twice",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
async def test_what_is_wrong_is_told(http: Any, verb: str, body: Any, said: str) -> None:
    answer = await http.post(f"/v2/models/m/{verb}", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


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
    body = {"text_input": "a", "parameters": {"stream": True, "return_finish_reason": True, **GREEDY}}
    answer = await http.post("/v2/models/m/versions/1/generate_stream", json=body)
    found = events(answer.text)
    assert [event["text_output"] for event in found] == TEXTS
    assert [event["finish_reason"] for event in found] == ["None", "None", "length"]
    assert heard(the_plane).requests == [("m", "1", "")]


async def test_an_error_in_a_stream_is_its_end(http: Any, the_plane: Any) -> None:
    body = {"text_input": "a", "parameters": {"max_tokens": 13}}
    answer = await http.post("/v2/models/m/generate_stream", json=body)
    assert events(answer.text)[-1] == {"error": "model 'm': the engine is dead"}
    assert heard(the_plane).requests == [("m", "1", "Unavailable")]


async def test_an_error_that_the_engine_blames_on_the_request(http: Any, the_plane: Any) -> None:
    """vLLM says so in the stream's first event: of a schema that is none, say."""
    body = {"text_input": "a", "max_tokens": 14}
    answer = await http.post("/v2/models/m/generate_stream", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "no such schema")
    assert heard(the_plane).requests == [("m", "1", "InvalidArgument")]


@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
async def test_an_adapter_that_the_engine_does_not_find_is_a_wrong_parameter(
    http: Any, talker: Talker, verb: str
) -> None:
    talker.status = 404
    answer = await http.post(f"/v2/models/m/{verb}", json={"text_input": "a"})
    assert (answer.status_code, answer.json()["error"]) == (400, "no such thing")


async def test_a_stream_that_does_not_begin(http: Any, the_plane: Any, talker: Any) -> None:
    talker.go.clear()
    the_plane.timeout = 0.1
    answer = await http.post("/v2/models/m/generate_stream", json={"text_input": "a"})
    assert (answer.status_code, answer.json()["error"]) == (
        504, "model 'm' gave no answer within 0.1 s",
    )  # fmt: skip
    assert heard(the_plane).requests == [("m", "1", "DeadlineExceeded")]


async def test_errors_before_a_stream(http: Any, talker: Any) -> None:
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
        the_plane,
        message(max_tokens=2, return_finish_reason=True),
        message("echo"),
        message(nope=1),
        message(stream=False),
    )
    # As they come: only those of one request keep their order.
    texts = [said(one) for one in answers if one.infer_response.model_name == "m"]
    assert [one for one in texts if one[0] in ([b"a0 ", b"None"], [b"1 ", b"length"])] == [
        ([b"a0 ", b"None"], False),
        ([b"1 ", b"length"], True),
    ]
    assert ([b"aa!"], True) in texts
    (echo,) = (one for one in answers if one.infer_response.model_name == "echo")
    assert said(echo) == ([b"a"], True)
    (error,) = (one for one in answers if one.error_message)
    assert "parameters.nope: no parameter of a generation" in error.error_message
    assert {one.infer_response.id for one in answers} == {"7"}
    assert len(answers) == 5


async def test_grpc_streams_of_what_was_asked_for(the_plane: Any) -> None:
    """By the names of outputs, which needn't be asked for twice, and `stream` as a parameter."""
    wanted = pb.ModelInferRequest.FromString(message(max_tokens=2))
    wanted.outputs.add(name="num_output_tokens")
    first, last = await streamed(the_plane, wanted.SerializeToString())
    for answer, final in ((first, False), (last, True)):
        (output,) = answer.infer_response.outputs
        assert (output.name, said(answer)[1]) == ("num_output_tokens", final)
    wanted.ClearField("outputs")
    wanted.parameters["stream"].bool_param = False
    (whole,) = await streamed(the_plane, wanted.SerializeToString())
    assert said(whole) == ([b"aa!"], True)


async def test_an_empty_final_response(the_plane: Any) -> None:
    wanted = message(max_tokens=1, triton_enable_empty_final_response=True)
    first, last = await streamed(the_plane, wanted)
    assert said(first) == ([b"a0 "], False)
    assert said(last) == ([], True)


async def test_a_stream_that_breaks(the_plane: Any) -> None:
    *_, last = await streamed(the_plane, message(max_tokens=13))
    assert last.error_message == "model 'm': the engine is dead"
