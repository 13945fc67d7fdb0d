"""OpenAI's routes over a data plane with an application that speaks as vLLM's does."""

from typing import Any

import httpx
import pytest
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.config import Limits
from serve_app.ingress.rest import RestApp
from tests.unit.engines import ABOUT, ENGINE, OPEN, Talker, backend
from tests.unit.ingress.connections import Client, Server
from tests.unit.planes import heard, plane, served
from tests.unit.waiting import until

ASKED = {"model": "m", "prompt": "a", "stream": True}
EVENTS = b'data: {"choices":[{"index":0,"text":"a0 ","finish_reason":null}]}'


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
def engine(talker: Talker) -> Any:
    return backend(talker)


@pytest.fixture
def the_plane(engine: Any) -> Any:
    made = plane()
    served(made, "identity")
    served(made, "m", backend=engine, about=ABOUT, versions=("1",), engine=ENGINE)
    made.directory.expect("new", "")
    return made


@pytest.fixture
async def http(the_plane: Any) -> Any:
    transport = httpx.ASGITransport(RestApp(the_plane, lambda: Limits(maxBodyBytes=5000)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
@pytest.mark.parametrize("route", ["chat/completions", "completions"])
async def test_bodies_go_through_as_they_are(http: Any, talker: Any, prefix: str, route: str) -> None:
    answer = await http.post(f"{prefix}/{route}", json=ASKED)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content.startswith(EVENTS)
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert talker.asked == [(f"/v1/{route}", ASKED)]


async def test_null_is_absent(http: Any, talker: Any) -> None:
    message = {"role": "assistant", "content": None}  # means something there
    asked = {**ASKED, "n": None, "stop": None, "temperature": 0.5, "messages": [message]}
    assert (await http.post("/v1/chat/completions", json=asked)).status_code == 200
    passed = {**ASKED, "temperature": 0.5, "messages": [message]}
    assert talker.asked == [("/v1/chat/completions", passed)]


async def test_a_whole_answer(http: Any, the_plane: Any) -> None:
    answer = await http.post("/v1/completions", json={"model": "m", "prompt": "a"})
    assert answer.json()["choices"][0]["text"] == "a!"
    assert answer.headers["content-type"] == "application/json"
    assert heard(the_plane).requests == [("m", "1", "")]


async def test_adapters_are_their_models(http: Any, talker: Any) -> None:
    assert (await http.post("/v1/completions", json={"model": "m-other", "prompt": "a"})).is_success
    assert talker.asked[0][1]["model"] == "m-other"
    assert (await http.post("/v1/completions", json={"prompt": "a"})).is_success  # there is one


async def test_adapters_out_of_a_bucket(http: Any, the_plane: Any, talker: Any) -> None:
    the_plane.directory.model("m").pick().about.engine = OPEN
    assert (await http.post("/v1/completions", json={"model": "m:x", "prompt": "a"})).is_success
    assert talker.asked[0][1]["model"] == "m:x"
    for prefix in ("/v1", "/openai/v1"):
        assert (await http.get(f"{prefix}/models/m:x")).json()["parent"] == "m"
        assert (await http.get(f"{prefix}/models/n:x")).status_code == 404
    assert (await http.post("/v1/models/m:x", json={})).status_code == 404
    answer = await http.post("/v1/completions", json={"model": "m:..", "prompt": "a"})
    assert answer.json()["error"]["code"] == "model_not_found"


async def test_the_lists(http: Any) -> None:
    card = {"id": "m", "object": "model", "created": 5, "owned_by": "tandem", "max_model_len": 512}
    cards = [card, {**card, "id": "m-other", "parent": "m"}]
    assert (await http.get("/openai/v1/models")).json() == {"object": "list", "data": cards}
    assert (await http.get("/v1/models")).json()["models"] == ["identity", "m", "new"]
    assert (await http.get("/v1/models")).json()["data"] == cards
    for prefix in ("/v1", "/openai/v1"):
        assert (await http.get(f"{prefix}/models/m-other")).json() == cards[1]
    assert (await http.get("/openai/v1/models/new")).status_code == 503
    assert (await http.get("/v1/models/no")).json() == {"error": "no model 'no'"}
    assert (await http.get("/v1/models/m")).json() == {"name": "m", "ready": True, **card}


@pytest.mark.parametrize(
    ("body", "status", "kind", "said"),
    [
        ({"model": "mm"}, 404, "model_not_found", "model: no language model 'mm'; did you mean m"),
        (
            {"model": "identity"},
            404,
            "model_not_found",
            "model: no language model 'identity'; known: m, m-other",
        ),
        ({"model": "m:x"}, 404, "model_not_found", "'m:x'"),
        ({"model": "new"}, 503, None, "model 'new' is not ready: loading"),
        ({"model": 5}, 400, None, "the name of a model is required"),
        ({"model": "m", "messages": 5}, 400, None, "messages must be a list, got 5"),
        ({"model": "m", "structured_outputs": "x"}, 400, None, "structured_outputs must be an object"),
        (
            {
                "model": "m",
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "x",
                        "schema": {
                            "type": "object",
                            "required": ["a"],
                            "properties": {"a": {"not": {}}},
                        },
                    },
                },
            },
            400,
            None,
            "response_format.json_schema.schema: nothing fits this schema: a: not",
        ),
        ({"model": "m", "top_k": 10**30}, 400, None, "top_k must be a number that 64 bits hold"),
        ([], 400, None, "must be a JSON object"),
        (None, 400, None, "the body is not valid JSON"),
        ({"model": "m", "prompt": "a" * 6000}, 413, None, "5000"),
    ],
)
async def test_errors_in_openais_form(http: Any, body: Any, status: int, kind: Any, said: str) -> None:
    answer = await http.post("/v1/completions", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, kind)
    assert said in error["message"]
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")


async def test_what_the_engine_cannot_do(http: Any) -> None:
    answer = await http.post("/v1/embeddings", json={"model": "m", "input": "a"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400, "model 'm' can't embed, only generate",
    )  # fmt: skip
    answer = await http.get("/v1/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
@pytest.mark.parametrize("route", ["chat/completions", "completions", "embeddings"])
async def test_a_model_that_is_not_there_is_404_as_openai_says_it(
    http: Any, prefix: str, route: str
) -> None:
    answer = await http.post(f"{prefix}/{route}", json={"model": "no", "prompt": "a", "input": "a"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == (
        "invalid_request_error", "model", "model_not_found",
    )  # fmt: skip
    card = await http.get("/openai/v1/models/no")
    assert (card.status_code, card.json()["error"]["code"]) == (404, "model_not_found")


async def test_the_engines_own_errors_go_through_and_count(
    http: Any, talker: Any, the_plane: Any
) -> None:
    talker.status = 422
    answer = await http.post("/v1/completions", json=ASKED)
    assert (answer.status_code, answer.json()["error"]["message"]) == (422, "no such thing")
    assert heard(the_plane).requests == [("m", "1", "InvalidArgument")]


async def test_an_adapter_that_the_engine_does_not_find(http: Any, talker: Any, the_plane: Any) -> None:
    talker.status = 404
    answer = await http.post("/v1/completions", json=ASKED)
    error = {"message": "no such thing", "type": "invalid_request_error"}
    assert answer.status_code == 404
    assert answer.json()["error"] == error | {"param": "model", "code": "model_not_found"}
    assert heard(the_plane).requests == [("m", "1", "UnknownModel")]


async def test_a_stream_that_begins_with_an_error_is_none(http: Any, the_plane: Any) -> None:
    answer = await http.post("/v1/completions", json={**ASKED, "max_tokens": 14})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json()["error"]["message"] == "no such schema"
    assert heard(the_plane).requests == [("m", "1", "InvalidArgument")]


async def test_an_error_that_comes_later_is_passed_on(http: Any, the_plane: Any) -> None:
    answer = await http.post("/v1/completions", json={**ASKED, "max_tokens": 13})
    assert answer.status_code == 200
    assert b"the engine is dead" in answer.content


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BackPressureError(1, 2), 503, "full"),
        (DeploymentUnavailableError(None), 503, "no replica that can answer"),
        (RuntimeError("broken"), 500, "model 'm' failed: RuntimeError (request id "),
    ],
)
async def test_serves_errors(http: Any, engine: Any, error: Any, status: int, said: str) -> None:
    engine._calls._streaming.error = error
    answer = await http.post("/v1/completions", json=ASKED)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    assert ("retry-after" in answer.headers) == (said == "full")


async def test_a_client_that_leaves_stops_the_generation(
    the_plane: Any, talker: Any, engine: Any
) -> None:
    async with Server(RestApp(the_plane, lambda: Limits())) as server:
        client = Client(server.address)
        body = b'{"model":"m","prompt":"a","stream":true,"max_tokens":100}'
        head = b"POST /v1/completions HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % len(body)
        await client.send(head + body)
        seen = await client.receive()
        talker.go.clear()
        while b"a0 " not in seen:
            seen += await client.receive()
        client.close()
        await until(lambda: talker.left and engine._calls._streaming.responses[0].cancelled)
    assert heard(the_plane).requests == [("m", "1", "Cancelled")]
