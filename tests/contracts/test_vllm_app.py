"""vLLM's own HTTP application around an engine of its own, as Ray's LLM server builds it."""

import json

import pytest

from tests.contracts.conftest import NEEDS
from tests.contracts.engine import CONTEXT

pytest.importorskip("vllm", reason=NEEDS)

UNREAD = {"PrometheusInstrumentatorMiddleware", "CORSMiddleware"}


def test_names_of_the_middlewares_that_nobody_reads(engine):
    assert set(engine("app", "before")) >= UNREAD


def test_they_are_taken_out_and_ours_is_outermost(engine):
    before, after = engine("app", "before"), engine("app", "after")
    assert after[1:] == [name for name in before if name not in UNREAD]


def test_every_request_goes_through_ours(engine):
    assert set(engine("app", "wrapped")) == {"/v1/completions"}
    assert len(engine("app", "wrapped")) == 13


def test_add_request_is_what_gives_the_engine_a_request(engine):
    """Found on the client, where it can be replaced; not for a request that is refused before."""
    assert len(engine("app", "added")) == 13  # one for each prompt


def test_a_completion(engine):
    status, kind, body = engine("app", "answer")
    assert (status, kind) == (200, "application/json")
    (choice,) = json.loads(body)["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "length"
    assert isinstance(choice["text"], str)


def test_a_streamed_completion(engine):
    status, kind, body = engine("app", "streamed")
    assert status == 200
    assert kind.startswith("text/event-stream")
    *events, end, rest = body.split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    assert [choice["finish_reason"] for choice in choices] == [None, "length"]


@pytest.mark.parametrize("constraint", ["pattern", "grammar", "way"])
def test_what_nothing_fits_is_the_clients_fault(engine, constraint):
    whole, streamed = engine("app", "unmet", constraint)
    assert whole[0] == 400
    assert json.loads(whole[2])["error"]["code"] == 400
    error = json.loads(streamed[2].split("\n\n")[-3].removeprefix("data: "))["error"]
    assert (streamed[0], error["code"]) == (200, 400)
    assert "nothing fits it" in error["message"]


def test_tokens_by_their_ids(engine):
    """All that Triton's vLLM backend tells of them: of the one that was taken, and of the likeliest."""
    status, _, body = engine("app", "tokens", "whole")
    assert status == 200
    choices = json.loads(body)["choices"]
    assert [len(choice["prompt_token_ids"]) for choice in choices] == [2, 1]
    for choice in choices:
        assert len(choice["token_ids"]) == 2
        told = choice["logprobs"]
        each = zip(choice["token_ids"], told["token_logprobs"], told["by_id"], strict=True)
        for token, likely, position in each:
            assert position[str(token)]["logprob"] == likely
            assert sorted(one["rank"] for one in position.values()) == [1, 2]
            assert all(isinstance(one["decoded_token"], str) for one in position.values())
    assert "by_id" not in engine("app", "tokens", "plain")[2]


def test_tokens_by_their_ids_in_a_stream(engine):
    body = engine("app", "tokens", "streamed")[2]
    *events, _, _ = body.split("\n\n")
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    assert [len(choice.get("prompt_token_ids") or ()) for choice in choices] == [
        2,
        *[0] * (len(choices) - 1),
    ]
    assert sum(len(choice["token_ids"]) for choice in choices) == 2
    for choice in choices:
        ids = [str(token) for token in choice["token_ids"]]
        assert all(token in known for token, known in zip(ids, choice["logprobs"]["by_id"], strict=True))


def test_an_error(engine):
    status, kind, body = engine("app", "refused")
    assert (status, kind) == (404, "application/json")
    assert json.loads(body)["error"]["message"] == "The model `nobody` does not exist."


def test_what_the_engine_says_of_its_model(engine):
    assert engine("app", "context") == CONTEXT
    assert "generate" in engine("app", "tasks")
    assert engine("app", "adapters") == []


def test_a_dead_engine_is_known_to_be_dead(engine):
    assert engine("app", "alive") is True
    assert engine("dead", "alive") is False


def test_its_metrics_are_in_prometheus_registry_under_its_name(engine):
    names = set(engine("metrics"))
    wanted = {"num_requests_running", "num_requests_waiting", "generation_tokens", "prompt_tokens"}
    assert {f"vllm:{name}" for name in wanted} <= names
