"""Text generation between V2's tensors and OpenAI's bodies."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidArgument, ModelFailed, Overloaded, Unavailable, UnknownModel
from serve_app.protocol import generation
from tests.unit.engines import ENGINE, event


def texts(*values: Any) -> dict[str, np.ndarray]:
    return {"text_input": np.array(values, dtype=object)}


def request(inputs: Any, parameters: Any = None, stream: bool = False) -> dict[str, Any]:
    return generation.completion_request("m", inputs, parameters or {}, ENGINE, stream)


def test_requests() -> None:
    assert request(texts(b"a")) == {"model": "m", "prompt": "a", "stream": False}
    assert request(texts(b"a", "ü"))["prompt"] == ["a", "ü"]
    assert request(texts(b"a"), {"max_tokens": 3}, stream=True)["max_tokens"] == 3
    sampling = {**texts(b"a"), "sampling_parameters": np.array([b'{"temperature":0.5}'], dtype=object)}
    wanted = request(sampling, {"temperature": 1.0, "max_tokens": 3, "lora_name": "m-other"})
    assert wanted == {
        "model": "m-other", "prompt": "a", "stream": False, "temperature": 0.5, "max_tokens": 3,
    }  # fmt: skip
    sampling["sampling_parameters"] = np.array([b'{"stop":null,"temperature":null}'], dtype=object)
    assert request(sampling, {"max_tokens": 3}) == {
        "model": "m", "prompt": "a", "stream": False, "max_tokens": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "parameters", "stream", "said"),
    [
        (texts(), {}, False, "holds no text"),
        (texts(b"\xff"), {}, False, "not valid UTF-8"),
        (texts(b"a", b"b"), {}, True, "a stream is of one text, tensor 'text_input' holds 2"),
        (texts(b"a"), {"n": 2}, False, "parameters.n: not here"),
        (
            texts(b"a"),
            {"lora_name": "m-othr"},
            False,
            "parameters.lora_name: model 'm' has no adapter 'm-othr'; did you mean m-other",
        ),
        (texts(b"a"), {"lora_name": 5}, False, "has no adapter '5'; known: m, m-other"),
        (texts(b"a"), {"prompt": "b"}, False, "parameters.prompt: not here: text_input"),
        (
            texts(b"a"),
            {"temprature": 2},
            False,
            "no parameter of a generation; did you mean temperature",
        ),
        (texts(b"a"), {"zzz": 2}, False, "parameters.zzz: no parameter of a generation"),
        (
            {**texts(b"a"), "sampling_parameters": np.array([b"["], dtype=object)},
            {},
            False,
            "not valid JSON",
        ),
        (
            {**texts(b"a"), "sampling_parameters": np.array([b"[]"], dtype=object)},
            {},
            False,
            "JSON object",
        ),
    ],
)
def test_what_is_wrong_is_named(inputs: Any, parameters: Any, stream: bool, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        request(inputs, parameters, stream)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"prompt": "a"}, "a"), ({"prompt": ["a", "b"]}, "a b"), ({"prompt": [[1, 2], [3]]}, "1 2 3"),
        ({"input": "a"}, "a"), ({}, ""), ({"messages": "a"}, ""), ({"messages": [5, {}]}, ""),
        ({"messages": [{"content": "a"}, {"content": [{"text": "b"}, {"image": "c"}]}]}, "a\nb "),
    ],
)  # fmt: skip
def test_the_text_that_a_request_begins_with(asked: dict[str, Any], text: str) -> None:
    assert generation.prompt_of(asked) == text


def test_outputs_come_in_the_order_of_the_texts() -> None:
    choices = [
        {"index": 1, "text": "b", "finish_reason": None},
        {"index": 0, "text": "ü", "finish_reason": "stop"},
    ]
    found = generation.outputs(choices)
    assert found["text_output"].tolist() == ["ü".encode(), b"b"]
    assert found["finish_reason"].tolist() == [b"stop", b""]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidArgument), (404, UnknownModel), (422, InvalidArgument), (429, Overloaded),
     (503, Unavailable), (500, ModelFailed), (501, ModelFailed)],
)  # fmt: skip
def test_failures(status: int, kind: type) -> None:
    body = orjson.dumps({"error": {"message": "why"}})
    assert (type(generation.failure(status, body)), generation.failure(status, body).message) == (
        kind,
        "why",
    )
    assert generation.failure(status, b"plain").message == "plain"
    assert generation.failure(status, b"[1]").message == "[1]"


@given(st.lists(st.integers(1, 40)), st.booleans())
def test_events_however_they_are_cut(cuts: list[int], carriage: bool) -> None:
    data = b": hello\n\n" + event({"a": 1}) + event({"b": "\n"}) + b"data: [DONE]\n\n"
    if carriage:
        data = data.replace(b"\n", b"\r\n")
    parser, found = generation.Events(), []
    for cut in cuts:
        found += parser.feed(data[:cut])
        data = data[cut:]
    found += parser.feed(data)
    assert found == [{"a": 1}, {"b": "\n"}, None]
