"""An ASGI application without a network in between."""

import asyncio

import pytest

from serve_app.llm.in_process import call
from tests.unit.engines import Talker
from tests.unit.waiting import until

ASKED = b'{"prompt":"a","stream":true}'


async def test_pieces_come_as_they_are_sent() -> None:
    talker = Talker()
    parts = call(talker, "/v1/completions", ASKED)
    status, kind = await anext(parts)
    assert status == 200
    assert kind.startswith(b"text/event-stream")
    talker.go.clear()
    assert b"a0 " in await anext(parts)
    waiting = asyncio.ensure_future(anext(parts))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    talker.go.set()
    assert b"1 " in await waiting
    assert (b"".join([part async for part in parts])).endswith(b"data: [DONE]\n\n")
    assert talker.asked == [("/v1/completions", {"prompt": "a", "stream": True})]


async def test_who_closes_leaves() -> None:
    talker = Talker()
    talker.go.clear()
    parts = call(talker, "/x", ASKED)
    await anext(parts)
    await parts.aclose()
    await until(lambda: talker.left)


async def test_the_applications_own_error_comes_out() -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await anext(call(broken, "/x", ASKED))
