"""V2 of an LLM: generate, generate_stream, infer and ModelStreamInfer, by tritonclient and plainly."""

import json
import queue
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from tests.llm.serving import ADAPTER, MODEL
from tests.serve.live import paths, until
from tests.server import Server

URL = f"/v2/models/{MODEL}"
GREEDY = {"temperature": 0, "max_tokens": 12}
ALONE = GREEDY | {"exclude_input_in_output": True}
PROMPT = "Recite the Zen of Python.\n\nBeautiful is better than"


OUTPUTS = [
    "text_output", "finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens",
    "num_output_tokens",
]  # fmt: skip


def tensors(client: Any, texts: list[str], stream: bool | None = None) -> list[Any]:
    found = [client.InferInput("text_input", [len(texts)], "BYTES")]
    found[0].set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object))
    if stream is not None:
        found.append(client.InferInput("stream", [1], "BOOL"))
        found[1].set_data_from_numpy(np.array([stream]))
    return found


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line:
            assert line.startswith("data: ")
            yield json.loads(line.removeprefix("data: "))


@pytest.fixture(scope="session")
def whole(http: httpx.Client) -> str:
    """What the model says, once for all."""
    asked = {"model": MODEL, "prompt": PROMPT, **GREEDY}
    return http.post("/v1/completions", json=asked).json()["choices"][0]["text"]


def test_generate(http: httpx.Client, whole: str) -> None:
    """The prompt stands before the text, as with Triton's backend; an id is who gave one."""
    about = {"model_name": MODEL, "model_version": "1"}
    answer = http.post(f"{URL}/generate", json={"text_input": PROMPT, "id": "x", "parameters": GREEDY})
    assert answer.json() == {"id": "x", **about, "text_output": PROMPT + whole}
    alone = {"text_input": PROMPT, "exclude_input_in_output": True, "return_finish_reason": True}
    answer = http.post(f"{URL}/generate", json=alone | GREEDY)
    assert answer.json() == {**about, "text_output": whole, "finish_reason": "length"}


def test_parameters_come_in_any_of_tritons_places(http: httpx.Client, whole: str) -> None:
    by_tensor = {"text_input": PROMPT, "sampling_parameters": json.dumps(ALONE)}
    as_text = {name: str(value) for name, value in GREEDY.items()}
    in_strings = {**by_tensor, "sampling_parameters": json.dumps({**ALONE, **as_text})}
    inside = {"text_input": PROMPT, "parameters": {"stream": False, **ALONE}}
    at_top = {"text_input": PROMPT, "stream": False, **ALONE, "seed": None}
    for body in (by_tensor, in_strings, inside, at_top):
        assert http.post(f"{URL}/generate", json=body).json()["text_output"] == whole
    answer = http.post(f"{URL}/versions/1/generate", json={"text_input": PROMPT, "parameters": ALONE})
    assert answer.json()["text_output"] == whole


def test_generate_stream(http: httpx.Client, whole: str) -> None:
    body = {"text_input": PROMPT, "return_finish_reason": True, "parameters": GREEDY}
    with http.stream("POST", f"{URL}/generate_stream", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        found = list(events(response))
    assert "".join(event["text_output"] for event in found) == whole
    assert len(found) == GREEDY["max_tokens"]
    assert [event["finish_reason"] for event in found] == ["None"] * 11 + ["length"]


def test_requests_to_engines_take_the_fast_path(llm: Server, http: httpx.Client) -> None:
    before = paths(llm)
    for _ in range(3):
        assert http.post(f"{URL}/generate_stream", json={"text_input": "a"}).status_code == 200

    def more(way: str) -> float:
        return paths(llm).get(("streams", way), 0) - before.get(("streams", way), 0)

    until(lambda: more("fast") >= 3, "the count of streams", 60)
    assert more("serve") == 0


def test_infer_of_several_texts(llm: Server, whole: str) -> None:
    client = triton_http.InferenceServerClient(llm.url.removeprefix("http://"))
    given = tensors(triton_http, [PROMPT, "Recite", PROMPT])
    for binary in (True, False):
        wanted = [triton_http.InferRequestedOutput("text_output", binary_data=binary)]
        answer = client.infer(MODEL, given, outputs=wanted, parameters=ALONE)
        found = answer.as_numpy("text_output").tolist()
        texts = [text.decode() if binary else text for text in found]
        assert texts[0] == texts[2] == whole
        assert texts[1] != whole
        assert answer.as_numpy("finish_reason") is None
    about = client.get_model_metadata(MODEL)
    assert about["platform"] == "vllm"
    assert [one["name"] for one in about["outputs"]] == OUTPUTS


def test_infer_over_grpc(llm: Server, whole: str) -> None:
    with triton_grpc.InferenceServerClient(llm.grpc) as client:
        answer = client.infer(MODEL, tensors(triton_grpc, [PROMPT]), parameters=ALONE)
        assert answer.as_numpy("text_output")[0].decode() == whole


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("logprobs", [None, 0, 2])
def test_tritons_additional_outputs(llm: Server, streams: bool, logprobs: int | None) -> None:
    """What the tests of Triton's vLLM backend ask of them, by the same client."""
    given = tensors(triton_grpc, [PROMPT], streams)
    for name in OUTPUTS[1:]:
        given.append(triton_grpc.InferInput(f"return_{name}", [1], "BOOL"))
        given[-1].set_data_from_numpy(np.array([True]))
    asked = {"temperature": "0", "top_p": "1", "max_tokens": 12}
    asked |= {} if logprobs is None else {"logprobs": logprobs}
    given.append(triton_grpc.InferInput("sampling_parameters", [1], "BYTES"))
    given[-1].set_data_from_numpy(np.array([json.dumps(asked).encode()], dtype=object))
    with triton_grpc.InferenceServerClient(llm.grpc) as client:
        one = Stream(client)
        one.client.async_stream_infer(MODEL, given)
        found = [one.answers.get(timeout=60)]
        while not final(found[-1]):
            found.append(one.answers.get(timeout=60))
        client.stop_stream()
    said, sums = "", [0.0]
    for answer in found:
        output = {name: answer.as_numpy(name)[0] for name in OUTPUTS}
        assert 0 < output["num_input_tokens"] <= len(PROMPT)
        assert output["num_output_tokens"] > 0
        assert output["finish_reason"] == (b"length" if answer is found[-1] else b"None")
        sums.append(float(output["cumulative_logprob"]))
        assert sums[-1] < sums[-2]
        tokens = json.loads(output["logprobs"])
        if logprobs is None:
            assert tokens is None
            continue
        assert len(tokens) == output["num_output_tokens"]
        for token in tokens:
            assert 1 <= len(token) <= logprobs + 1
            (likeliest,) = [known for known in token.values() if known["rank"] == 1]
            assert all(key.isdecimal() for key in token)
            said += likeliest["decoded_token"]
    whole = text(found)
    assert len(found) == 1 or streams
    if logprobs is not None:
        assert whole == said if streams else whole == PROMPT + said


class Stream:
    """tritonclient's stream, as a queue of answers."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.answers: queue.Queue[Any] = queue.Queue()
        client.start_stream(lambda result, error: self.answers.put(error or result))

    def ask(self, prompt: str, stream: bool | None = None, **more: Any) -> list[Any]:
        """All responses up to the last, or the error."""
        given = tensors(triton_grpc, [prompt], stream)
        self.client.async_stream_infer(**{"model_name": MODEL, "inputs": given, **more})
        found = []
        while True:
            found.append(answer := self.answers.get(timeout=60))
            if isinstance(answer, Exception) or final(answer):
                return found


def final(answer: Any) -> bool:
    return answer.get_response().parameters["triton_final_response"].bool_param


@pytest.fixture
def stream(llm: Server) -> Iterator[Stream]:
    with triton_grpc.InferenceServerClient(llm.grpc) as client:
        yield Stream(client)
        client.stop_stream()


def text(answers: list[Any]) -> str:
    return "".join(answer.as_numpy("text_output")[0].decode() for answer in answers)


def test_a_response_for_each_piece_over_grpc(stream: Stream, whole: str) -> None:
    asked = GREEDY | {"return_finish_reason": True}
    found = stream.ask(PROMPT, parameters=asked, request_id="a")
    assert text(found) == whole
    # Where the engine is ahead of its server, a piece has several tokens.
    assert 1 < len(found) <= GREEDY["max_tokens"]
    assert {answer.get_response().id for answer in found} == {"a"}
    *others, last = [answer.as_numpy("finish_reason")[0] for answer in found]
    assert (set(others), last) == ({b"None"}, b"length")


def test_an_empty_final_response_where_it_is_wanted(stream: Stream, whole: str) -> None:
    found = stream.ask(PROMPT, parameters=GREEDY, enable_empty_final_response=True)
    assert not found[-1].get_response().outputs
    assert text(found[:-1]) == whole
    assert not any(map(final, found[:-1]))


def test_one_response_without_stream(stream: Stream, whole: str) -> None:
    (answer,) = stream.ask(PROMPT, stream=False, parameters=GREEDY)
    assert text([answer]) == PROMPT + whole
    (answer,) = stream.ask(PROMPT, parameters=ALONE | {"stream": False})
    assert text([answer]) == whole


def test_requested_outputs_of_a_stream(stream: Stream, whole: str) -> None:
    wanted = [triton_grpc.InferRequestedOutput("text_output")]
    found = stream.ask(PROMPT, parameters=GREEDY, outputs=wanted)
    assert text(found) == whole
    assert found[-1].as_numpy("finish_reason") is None


def test_a_stream_goes_on_after_errors_and_with_other_models(stream: Stream, whole: str) -> None:
    (error,) = stream.ask(PROMPT, parameters={"max_tokns": 1})
    assert "parameters.max_tokns: no parameter of a generation; did you mean max_tokens" in str(error)
    (error,) = stream.ask("word " * 2000, parameters=GREEDY)
    assert "maximum context length is 512" in str(error)
    (error,) = stream.ask(PROMPT, model_name="absent")
    assert "no model 'absent'" in str(error)
    x = triton_grpc.InferInput("x", [1], "FP32")
    x.set_data_from_numpy(np.array([2.5], np.float32))
    stream.client.async_stream_infer("identity", [x])
    assert stream.answers.get(timeout=10).as_numpy("x").tolist() == [2.5]
    assert text(stream.ask(PROMPT, parameters=GREEDY)) == whole


def test_an_adapter_by_lora_name(http: httpx.Client, whole: str) -> None:
    body = {"text_input": PROMPT, "parameters": {"lora_name": ADAPTER, **GREEDY}}
    by_triton = http.post(f"{URL}/generate", json=body).json()["text_output"].removeprefix(PROMPT)
    asked = {"model": ADAPTER, "prompt": PROMPT, **GREEDY}
    by_openai = http.post("/v1/completions", json=asked).json()["choices"][0]["text"]
    assert by_triton == by_openai != whole


@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "text_input: required"),
        ([], 400, "must be a JSON object with text_input"),
        ({"text_input": 5}, 400, "data must hold strings, got 5"),
        ({"text_input": "x", "txt": 1}, 400, "parameters.txt: no parameter of a generation"),
        ({"text_input": "x", "return_logprobs": "yes"}, 400, "return_logprobs"),
        ({"text_input": "x", "return_logprobs": True, "logprobs": 1000}, 400, "1000"),
        ({"text_input": "x", "parameters": 5}, 400, "parameters must be an object"),
        ({"text_input": "x", "parameters": {"max_tokens": 0}}, 400, "max_tokens must be at least 1"),
        ({"text_input": "x", "parameters": {"max_tokens": 10_000}}, 400, "max_tokens"),
        ({"text_input": "x", "parameters": {"n": 1000, "temperature": 1}}, 400, "at most 128"),
        ({"text_input": "x", "parameters": {"top_q": 1}}, 400, "parameters.top_q: no parameter"),
        ({"text_input": "x", "parameters": {"lora_name": "absent"}}, 400, "absent"),
        ({"text_input": "word " * 2000}, 400, "maximum context length is 512"),
        ({"text_input": "x", "sampling_parameters": "{"}, 400, "not valid JSON"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(
    http: httpx.Client, verb: str, body: object, status: int, said: str
) -> None:
    answer = http.post(f"{URL}/{verb}", json=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_where_nothing_can_be_generated(http: httpx.Client) -> None:
    body = {"text_input": "x"}
    assert http.post("/v2/models/absent/generate", json=body).status_code == 404
    answer = http.post("/v2/models/identity/generate_stream", json=body)
    assert answer.status_code == 400
    assert "model 'identity' generates no text" in answer.json()["error"]
    assert http.get(f"{URL}/generate").status_code == 405
