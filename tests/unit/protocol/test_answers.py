"""OpenAI's answers as arrays: forms from OpenAI's reference, which vLLM's server follows."""

import base64
from typing import Any

import numpy as np
import orjson
import pytest

from serve_app.protocol.answers import arrays_of, joined

JSON, EVENTS = b"application/json", b"text/event-stream; charset=utf-8"


def texts(array: np.ndarray) -> list[str]:
    return [one.decode() for one in array]


def events(*said: Any, end: bool = True) -> bytes:
    parts = [b"data: " + orjson.dumps(one) + b"\n\n" for one in said]
    return b"".join(parts) + (b"data: [DONE]\n\n" if end else b"")


def test_a_completion() -> None:
    choices = [
        {"index": 1, "text": "b", "finish_reason": "length"},
        {"index": 0, "text": "a", "finish_reason": "stop"},
    ]
    found = arrays_of(JSON, orjson.dumps({"id": "x", "choices": choices, "usage": {}}))
    assert texts(found["text_output"]) == ["a", "b"]
    assert texts(found["finish_reason"]) == ["stop", "length"]


def test_a_chat() -> None:
    message = {"role": "assistant", "content": "hello", "tool_calls": []}
    found = arrays_of(JSON, orjson.dumps({"choices": [{"index": 0, "message": message}]}))
    assert texts(found["text_output"]) == ["hello"]
    assert "tool_calls" not in found


def test_tools_that_are_called() -> None:
    """The same whole and streamed; ids are made up for each answer, and no part of it."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    whole = arrays_of(JSON, orjson.dumps({"choices": [{"index": 0, "message": message}]}))
    first = {"tool_calls": [{"index": 0, "id": "call_2", "function": {"name": "f", "arguments": ""}}]}
    deltas = [
        first,
        *({"tool_calls": [{"index": 0, "function": {"arguments": one}}]} for one in ('{"x"', ": 1}")),
    ]
    streamed = arrays_of(EVENTS, events(*({"choices": [{"index": 0, "delta": one}]} for one in deltas)))
    assert texts(whole["tool_calls"]) == texts(streamed["tool_calls"]) == ['[["f","{\\"x\\": 1}"]]']


def test_streams() -> None:
    chat = events(
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 0, "delta": {"content": "he"}}]},
        {"choices": [{"index": 1, "delta": {"content": "yo"}}]},
        {"choices": [{"index": 0, "delta": {"content": "llo"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"total_tokens": 3}},
    )
    found = arrays_of(EVENTS, chat)
    assert texts(found["text_output"]) == ["hello", "yo"]
    assert texts(found["finish_reason"]) == ["stop", ""]
    plain = events({"choices": [{"index": 0, "text": "a "}]}, {"choices": [{"index": 0, "text": "b"}]})
    assert texts(arrays_of(EVENTS, plain)["text_output"]) == ["a b"]


def test_embeddings() -> None:
    vectors = np.array([[0.5, 1], [2, 3]], np.float32)
    data = [{"index": at, "embedding": one.tolist()} for at, one in enumerate(vectors)]
    plain = arrays_of(JSON, orjson.dumps({"object": "list", "data": data[::-1]}))
    packed = [
        {"index": at, "embedding": base64.b64encode(one.tobytes()).decode()}
        for at, one in enumerate(vectors)
    ]
    for found in (plain, arrays_of(JSON, orjson.dumps({"data": packed}))):
        assert found["embedding"].dtype == np.float32
        assert found["embedding"].tolist() == vectors.tolist()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b""), (JSON, b"{}"), (JSON, b"[]"), (JSON, b"no"), (JSON, b'{"choices": [1]}'),
        (JSON, b'{"data": [{"index": 0}]}'), (EVENTS, b"data: no\n\n"),
        (EVENTS, b'data: {"error": {"message": "the engine is dead"}}\n\n'),
    ],
)  # fmt: skip
def test_what_is_no_answer(kind: bytes, body: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        arrays_of(kind, body)


def one(text: str, reason: str = "None", count: int = 1) -> dict[str, np.ndarray]:
    array, why = np.empty(1, dtype=object), np.empty(1, dtype=object)
    array[0], why[0] = text.encode(), reason.encode()
    return {
        "text_output": array,
        "finish_reason": why,
        "num_output_tokens": np.array([count], np.uint32),
    }


def test_pieces_of_v2_are_put_together() -> None:
    found = joined([one("a "), one("b "), one("c", "length", 2)])
    assert texts(found["text_output"]) == ["a b c"]
    assert texts(found["finish_reason"]) == ["length"]
    assert found["num_output_tokens"].tolist() == [4]
    assert joined([]) == {}
