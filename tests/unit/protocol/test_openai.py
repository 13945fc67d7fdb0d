"""What OpenAI's bodies hold: the text they begin with, errors, events."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidArgument, ModelFailed, Overloaded, Unavailable, UnknownModel
from serve_app.protocol import openai
from tests.unit.engines import event


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"prompt": "a"}, "a"), ({"prompt": ["a", "b"]}, "a b"), ({"prompt": [[1, 2], [3]]}, "1 2 3"),
        ({"input": "a"}, "a"), ({}, ""), ({"messages": "a"}, ""), ({"messages": [5, {}]}, ""),
        ({"messages": [{"content": "a"}, {"content": [{"text": "b"}, {"image": "c"}]}]}, "a\nb "),
    ],
)  # fmt: skip
def test_the_text_that_a_request_begins_with(asked: dict[str, Any], text: str) -> None:
    assert openai.prompt_of(asked) == text


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidArgument), (404, UnknownModel), (422, InvalidArgument), (429, Overloaded),
     (503, Unavailable), (500, ModelFailed), (501, ModelFailed)],
)  # fmt: skip
def test_failures(status: int, kind: type) -> None:
    body = orjson.dumps({"error": {"message": "why"}})
    assert (type(openai.failure(status, body)), openai.failure(status, body).message) == (
        kind,
        "why",
    )
    assert openai.failure(status, b"plain").message == "plain"
    assert openai.failure(status, b"[1]").message == "[1]"


@given(st.lists(st.integers(1, 40)), st.booleans())
def test_events_however_they_are_cut(cuts: list[int], carriage: bool) -> None:
    data = b": hello\n\n" + event({"a": 1}) + event({"b": "\n"}) + b"data: [DONE]\n\n"
    if carriage:
        data = data.replace(b"\n", b"\r\n")
    parser, found = openai.Events(), []
    for cut in cuts:
        found += parser.feed(data[:cut])
        data = data[cut:]
    found += parser.feed(data)
    assert found == [{"a": 1}, {"b": "\n"}, None]
