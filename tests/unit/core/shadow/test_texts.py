"""LLMs: V2's streams and OpenAI's bodies, whole and in pieces, from an engine that speaks so."""

import httpx
import orjson
import pytest

from serve_app.config import Limits
from serve_app.core.call import Call
from serve_app.ingress.rest import RestApp
from serve_app.protocol.tensors import InferRequest
from tests.unit.core.shadow.shadowed import Shadowed
from tests.unit.engines import ABOUT, ENGINE, Talker, backend, choice, event
from tests.unit.planes import description


class Other(Talker):
    """Says something else from its second word on."""

    async def _events(self, body):
        async for piece in super()._events(body):
            yield piece.replace(b"1 ", b"one ")


def shadowed(shadow: Talker | None = None, **config) -> Shadowed:
    about = description(about=ABOUT, engine=ENGINE)
    engines = [backend(Talker()).target(), backend(shadow or Talker()).target()]
    return Shadowed(*engines, about=about, **config)


def client(one: Shadowed) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(RestApp(one.plane, lambda: Limits()))
    return httpx.AsyncClient(transport=transport, base_url="http://t")


ASKED = {"model": "m", "prompt": "a", "max_tokens": 3}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ["completions", "chat/completions"])
async def test_openais_routes(route: str, stream: bool) -> None:
    talker = Talker()
    one = shadowed(talker)
    asked = {**ASKED, "stream": stream}
    if not stream and route != "completions":
        asked["messages"] = [{"role": "user", "content": "hi"}]
    async with client(one) as http:
        answer = await http.post(f"/v1/{route}", json=asked)
    assert answer.status_code == 200
    (found,) = await one.compared(1)
    assert found.same
    assert found.texts is not None
    assert found.texts.share == 1
    assert talker.asked == [(f"/v1/{route}", asked)]
    assert one.pair.plain["agreement"]["answers"] == 1
    assert one.copies.held == 0


async def test_the_client_gets_the_answer_as_it_is() -> None:
    answers = set()
    for percent in (0, 100):
        async with client(shadowed(percent=percent)) as http:
            answers.add((await http.post("/v1/completions", json={**ASKED, "stream": True})).content)
    assert len(answers) == 1


async def test_how_far_texts_agree() -> None:
    one = shadowed(Other(), outputs={"text_output": {"agreement": 0.3}}, examples=1)
    async with client(one) as http:
        await http.post("/v1/completions", json={**ASKED, "stream": True})
    (found,) = await one.compared(1)
    assert found.same  # a0 1 2 and a0 one 2: one of three
    assert one.pair.plain["agreement"]["tokens"] == pytest.approx(1 / 3)
    one.configure(examples=1)
    async with client(one) as http:
        await http.post("/v1/completions", json={**ASKED, "stream": True})
    await one.compared(2)
    (example,) = one.pair.examples
    assert orjson.loads(example["inputs"])["prompt"] == "a"
    assert example["answer"][0]["first"] == ["a0 1 2 "]
    assert example["copy"][0]["first"] == ["a0 one 2 "]


@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
async def test_v2s_routes(verb: str) -> None:
    one = shadowed(Other() if verb == "generate_stream" else None)
    body = {"text_input": "a", "max_tokens": 3, "stream": verb == "generate_stream"}
    async with client(one) as http:
        answer = await http.post(f"/v2/models/m/{verb}", json=body)
    assert answer.status_code == 200
    (found,) = await one.compared(1)
    assert found.texts is not None
    assert found.same is (verb == "generate")
    if verb == "generate_stream":
        assert [d.output for d in found.differences] == ["text_output"]


async def test_an_engine_that_refuses() -> None:
    talker = Talker()
    talker.status = 400
    one = shadowed(talker)
    async with client(one) as http:
        assert (await http.post("/v1/completions", json=ASKED)).status_code == 200
    (found,) = await one.compared(1)
    assert [(d.output, d.kind) for d in found.differences] == [("copy", "error")]


async def test_an_engine_that_breaks_off() -> None:
    """With 13 tokens an event says so in the middle: users' answer has failed, and isn't a good one."""
    one = shadowed()
    async with client(one) as http:
        await http.post("/v1/completions", json={**ASKED, "max_tokens": 13, "stream": True})
    (found,) = await one.compared(1)
    assert found.same  # both break off
    other = shadowed(Broken())
    async with client(other) as http:
        await http.post("/v1/completions", json={**ASKED, "stream": True})
    (found,) = await other.compared(1)
    assert [(d.output, d.kind) for d in found.differences] == [("copy", "error")]


class Broken(Talker):
    async def _events(self, body):
        yield event({"choices": [choice("a", None)]})
        yield event({"error": {"message": "the engine is dead"}})


@pytest.mark.parametrize("path", ["/v1/completions", "/v2/models/m/generate_stream"])
async def test_texts_longer_than_there_is_room_for(path: str) -> None:
    one, text = shadowed(maxBytes=2**16), "a" * 40_000
    async with client(one) as http:
        asked = {"text_input": text}
        if path.startswith("/v1"):
            asked = {"model": "m", "prompt": text}
        answer = await http.post(path, json={**asked, "max_tokens": 3, "stream": True})
    assert answer.status_code == 200
    assert text in answer.text
    await one.settled()
    assert one.heard.drops == {"bytes": 1}
    assert (one.copies.held, one.shadows._open) == (0, {})


async def test_json_that_takes_long_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.core.shadow.judging.MOST_JSON", 100)
    one = shadowed()
    async with client(one) as http:
        for stream in (False, True):
            await http.post("/v1/completions", json={**ASKED, "prompt": "a" * 200, "stream": stream})
    await one.compared(1)  # the stream
    assert one.heard.drops == {"bytes": 1}


async def test_a_client_that_leaves() -> None:
    """Its answer isn't whole: nothing to compare with."""
    one = shadowed()
    asked = {**ASKED, "stream": True}
    call = Call(InferRequest("m", "", "", []))

    async def leave() -> None:
        async with one.plane.relay(call, "/v1/completions", orjson.dumps(asked), asked) as answer:
            async for _ in answer.pieces():
                raise ConnectionError

    with pytest.raises(ConnectionError):
        await leave()
    await one.settled()
    assert (one.heard.found, one.copies.held, one.shadows._open) == ([], 0, {})
