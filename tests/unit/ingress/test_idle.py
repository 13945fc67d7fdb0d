"""Streams without a request under way, and which of them have to end."""

import asyncio

import pytest

from serve_app.errors import Unavailable
from serve_app.ingress.idle import IdleStreams
from serve_app.ingress.side_by_side import SideBySide
from tests.unit.waiting import until


class Ended(list):
    """What each was told."""

    def of(self, name: str):
        return lambda error: self.append((name, str(error)))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self]


@pytest.fixture
def ended() -> Ended:
    return Ended()


async def test_who_has_most_of_them_loses_the_oldest(ended):
    streams = IdleStreams(most=3, seconds=lambda: 60)
    for name in ("mine", "theirs 1", "theirs 2"):
        streams.of(name.split()[0], ended.of(name)).idle()
    assert ended == []
    streams.of("others", ended.of("others")).idle()
    assert ended.names == ["theirs 1"]
    streams.of("others", ended.of("another")).idle()
    assert ended.names == ["theirs 1", "others"]


async def test_one_with_a_request_is_left_alone(ended):
    streams = IdleStreams(most=1, seconds=lambda: 0.05)
    busy = streams.of("a", ended.of("busy"))
    busy.idle()
    busy.busy()
    for name in ("first", "second"):
        streams.of("a", ended.of(name)).idle()
    assert ended.names == ["first"]
    await until(lambda: "second" in ended.names)
    assert "busy" not in ended.names


async def test_none_is_idle_for_longer(ended):
    streams = IdleStreams(seconds=lambda: 0.05)
    one = streams.of("a", ended.of("one"))
    one.idle()
    await until(lambda: ended)
    assert "0.05 s (streamTimeout)" in ended[0][1]
    one.over()
    one.idle()  # what a request of it says that was cancelled at its end
    other = streams.of("a", ended.of("other"))
    other.idle()
    await until(lambda: "other" in ended.names)
    assert ended.names == ["one", "other"]


async def test_a_stream_ends_when_it_is_idle_and_not_while_it_is_used():
    go, answered = asyncio.Event(), []

    async def answer(data: bytes):
        await go.wait()
        yield data

    async def requests():
        yield b"slow"
        await asyncio.Event().wait()

    streams = IdleStreams(seconds=lambda: 0.05)
    one = SideBySide(lambda data: (answer(data), True), 10, 1000, idle=streams)

    async def read():
        async for data in one.answers(requests()):
            answered.append(data)

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.2)  # four times as long as it may be idle
    assert not reading.done()
    go.set()
    with pytest.raises(Unavailable, match="streamTimeout"):
        await asyncio.wait_for(reading, 10)
    assert answered == [b"slow"]
