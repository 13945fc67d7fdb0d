"""OpenAI's SDK against a live server: what it offers, and what it makes of errors."""

import json
from typing import Any

import numpy as np
import pytest

from loadtests.payloads import PROMPT_SENTENCES, SENTENCES
from tests.llm.conftest import NEEDS
from tests.llm.serving import ADAPTER, BROKEN, EMBEDDER, IN_BUCKET, MODEL

sdk = pytest.importorskip("openai", reason=NEEDS)
ZEN = [{"role": "user", "content": "Recite the Zen of Python."}]
SUM = [{"role": "user", "content": "Add 2 and 3."}]
NUMBERS = {"type": "integer", "minimum": 0, "maximum": 9}
ADD = {"type": "function", "function": {"name": "add", "parameters": {
    "type": "object", "properties": {"a": NUMBERS, "b": NUMBERS}, "required": ["a", "b"],
}}}  # fmt: skip
MODELS = [EMBEDDER, MODEL, ADAPTER, BROKEN, IN_BUCKET]
BEGINNING = "The Zen of Python, by Tim Peters\n\nBeautiful is better than ugly.\n"


def chat(openai: Any, **more: Any) -> Any:
    return openai.chat.completions.create(
        **{"model": MODEL, "messages": ZEN, "temperature": 0, "max_tokens": 23, **more}
    )


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
def test_a_chat_under_both_prefixes(openai: Any, llm: Any, prefix: str) -> None:
    client = openai.with_options(base_url=llm.url + prefix)
    answer = chat(client)
    assert answer.choices[0].message.content == BEGINNING
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 23
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 23
    assert [model.id for model in client.models.list()] == MODELS


def test_a_load_test_s_longest_prompt_fits(openai: Any) -> None:
    prompt = " ".join(sorted(SENTENCES, key=len)[-PROMPT_SENTENCES:])
    messages = [{"role": "user", "content": prompt}]
    assert chat(openai, messages=messages, max_tokens=128).usage.prompt_tokens > 256


def test_a_stream_with_its_usage(openai: Any) -> None:
    pieces, usage, reasons = [], None, []
    for event in chat(openai, stream=True, stream_options={"include_usage": True}):
        usage = event.usage or usage
        for choice in event.choices:
            pieces.append(choice.delta.content or "")
            reasons.append(choice.finish_reason)
    assert "".join(pieces) == BEGINNING
    assert len([piece for piece in pieces if piece]) > 10
    assert [reason for reason in reasons if reason] == ["length"]
    assert usage is not None
    assert usage.completion_tokens == 23


def test_completions_with_stop_logprobs_and_several_answers(openai: Any) -> None:
    answer = openai.completions.create(
        model=MODEL, prompt=["Beautiful", "Simple is"], max_tokens=16, n=2, seed=1,
        temperature=0.7, logprobs=2, stop=["\n"],
    )  # fmt: skip
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    for choice in answer.choices:
        assert "\n" not in choice.text
        assert choice.finish_reason in ("length", "stop")
        found = choice.logprobs
        assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs)
        assert all(value <= 0 for value in found.token_logprobs)


def test_logprobs_of_a_chat(openai: Any) -> None:
    content = chat(openai, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    assert "".join(token.token for token in content) == BEGINNING
    for token in content:
        assert token.logprob == max(other.logprob for other in token.top_logprobs)


def test_an_answer_that_fits_a_schema(openai: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["iris", "digits"]}, "known": {"type": "boolean"}},
        "required": ["name", "known"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "data", "schema": schema}}
    answer = json.loads(chat(openai, max_tokens=80, response_format=form).choices[0].message.content)
    assert set(answer) == {"name", "known"}
    assert answer["name"] in ("iris", "digits")
    assert isinstance(answer["known"], bool)


@pytest.mark.parametrize(
    "choice", ["auto", "required", {"type": "function", "function": {"name": "add"}}], ids=str
)
def test_a_tool_is_called(openai: Any, choice: Any) -> None:
    answer = chat(openai, messages=SUM, tools=[ADD], tool_choice=choice, max_tokens=80)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "add"
    assert json.loads(call.function.arguments) == {"a": 2, "b": 3}


def test_a_tool_is_called_in_a_stream(openai: Any) -> None:
    events = chat(openai, messages=SUM, tools=[ADD], max_tokens=80, stream=True)
    calls = [call for e in events for c in e.choices for call in c.delta.tool_calls or []]
    assert next(call.function.name for call in calls if call.function.name) == "add"
    assert json.loads("".join(c.function.arguments or "" for c in calls)) == {"a": 2, "b": 3}


def test_embeddings(openai: Any) -> None:
    texts = ["a cat sits on the mat", "the mat has a cat on it", "stock markets fell sharply"]
    answer = openai.embeddings.create(model=EMBEDDER, input=texts)
    rows = np.array([one.embedding for one in answer.data])
    assert rows.shape == (3, 384)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    near, far = rows[0] @ rows[1], rows[0] @ rows[2]
    assert near > 0.8
    assert far < 0.3


def test_an_adapter_is_a_model_of_its_own(openai: Any) -> None:
    other = chat(openai, model=ADAPTER)
    assert other.model == ADAPTER
    assert other.choices[0].message.content != BEGINNING
    assert openai.models.retrieve(ADAPTER).parent == MODEL


def test_one_list_for_two_protocols(http: Any) -> None:
    """KServe's V1 reads `models`, OpenAI's SDK `data`."""
    listed = http.get("/v1/models").json()
    assert set(listed["models"]) == {"identity", MODEL, EMBEDDER}
    assert [one["id"] for one in listed["data"]] == MODELS
    assert http.get(f"/v1/models/{MODEL}").json() | {"id": MODEL, "name": MODEL, "ready": True} == (
        http.get(f"/v1/models/{MODEL}").json()
    )


LONG = [{"role": "user", "content": "word " * 2000}]
NO_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "objekt"}}}


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"model": "tinny"}, 404, "model: no language model 'tinny'; did you mean tiny"),
        ({"model": "identity"}, 404, "model: no language model 'identity'"),
        ({"model": f"{MODEL}:absent"}, 404, f"'{MODEL}:absent'"),
        ({"model": 5}, 400, "model: the name of a model is required"),
        ({"model": EMBEDDER}, 400, f"model '{EMBEDDER}' can't generate"),
        ({"messages": LONG}, 400, "maximum context length is 512"),
        ({"max_tokens": 10_000}, 400, "max_tokens"),
        ({"n": 1000, "temperature": 1}, 400, "n must be at most 128, got 1000"),
        ({"response_format": NO_SCHEMA}, 400, "objekt"),
        ({"messages": "hello"}, 400, "messages"),
        ({"temperature": -1}, 400, "temperature must be non-negative, got -1"),
        ({"top_logprobs": 1000, "logprobs": True}, 400, "1000"),
        ({"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "no"}}}, 400, "no"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_is_wrong_is_told(openai: Any, more: Any, status: int, said: str, stream: bool) -> None:
    with pytest.raises(sdk.APIStatusError) as caught:
        chat(openai, **more, stream=stream)
    assert caught.value.status_code == status
    assert said in caught.value.message
    assert set(caught.value.body) >= {"message", "type", "param", "code"}
    assert "Traceback" not in caught.value.message


def schema(value: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}}


def constraint(**value: Any) -> dict[str, Any]:
    return {"extra_body": {"structured_outputs": value}}


NOTHING = r"[^\s\S]"
IMPOSSIBLE = [
    schema({"enum": []}),
    schema({"type": "integer", "minimum": 5, "maximum": 3}),
    schema({"type": "string", "minLength": 5, "maxLength": 2}),
    schema({"type": "string", "pattern": "["}),
    schema({"type": "string", "pattern": NOTHING}),
    schema({"type": "object", "properties": {"a": False}, "required": ["a"]}),
    schema({"$ref": "#"}),
    schema({"not": {}}),
    schema({"allOf": [{"type": "string"}, {"type": "integer"}]}),
    schema({"oneOf": [{"type": "integer"}, {"type": "integer"}]}),
    constraint(json={"type": "object", "required": ["a"], "not": {"required": ["a"]}}),
    constraint(grammar='root ::= "a" root'),
    schema({"$ref": "#/nowhere"}),
    constraint(regex="["),
    constraint(regex="a{5,2}"),
    constraint(regex=NOTHING),
    constraint(choice=[]),
    constraint(choice="yes"),
    constraint(grammar=""),
    constraint(grammar="root ::= nowhere"),
    constraint(grammar="root ::= root"),
    constraint(grammar='root ::= root "a" | root "b"'),
    constraint(json="{"),
    constraint(structural_tag="x"),
    constraint(regex="a", choice=["a"]),
    constraint(),
    {"extra_body": {"structured_outputs": "x"}},
]


@pytest.mark.parametrize("more", IMPOSSIBLE, ids=str)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_no_answer_can_fit_is_a_bad_request(openai: Any, more: Any, stream: bool) -> None:
    with pytest.raises(sdk.APIError) as caught:
        list(chat(openai, **more, stream=stream))
    # An answer that had begun ends with the error.
    assert isinstance(caught.value, sdk.BadRequestError) or str(caught.value.code) == "400"
    assert stream or isinstance(caught.value, sdk.BadRequestError)


@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
@pytest.mark.parametrize(
    "given", [{"regex": NOTHING}, {"choice": []}, {"grammar": "root ::= root"}], ids=str
)
def test_nor_by_generate(http: Any, verb: str, given: Any) -> None:
    body = {
        "text_input": "a",
        "sampling_parameters": json.dumps({"structured_outputs": json.dumps(given)}),
    }
    assert http.post(f"/v2/models/{MODEL}/{verb}", json=body).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"model": null}'])
def test_bodies_that_are_no_request(http: Any, body: bytes) -> None:
    answer = http.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_the_verbs(http: Any) -> None:
    answer = http.get("/v1/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert http.get("/openai/v1/models/absent").status_code == 404


def test_a_model_that_is_not_there_is_the_sdks_not_found(openai: Any, llm: Any) -> None:
    both = openai, openai.with_options(base_url=f"{llm.url}/openai/v1")
    for client in both:
        for ask in (
            lambda client=client: chat(client, model="gpt-4"),
            lambda client=client: client.completions.create(model="gpt-4", prompt="a"),
            lambda client=client: client.embeddings.create(model="gpt-4", input="a"),
        ):
            with pytest.raises(sdk.NotFoundError) as caught:
                ask()
            assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        with pytest.raises(sdk.NotFoundError):
            client.models.retrieve("gpt-4")


def test_the_chat_goes_on_after_all_that(openai: Any) -> None:
    assert chat(openai).choices[0].message.content == BEGINNING
