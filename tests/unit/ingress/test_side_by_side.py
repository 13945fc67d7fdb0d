"""Requests of one stream side by side, in order or not, and bounded."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from serve_app.ingress.side_by_side import SideBySide
from tests.unit.held import soon
from tests.unit.waiting import until


class Models:
    """A request `name` waits for its event; `name*3` has three answers, and no place in the order."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.said: list[str] = []
        self.cancelled: list[str] = []
        self.may: dict[str, asyncio.Event] = {}

    def let(self, *names: str) -> None:
        for name in names:
            self.may.setdefault(name, asyncio.Event()).set()

    def begin(self, data: bytes) -> tuple[AsyncGenerator[bytes, None], bool]:
        name, _, times = data.decode().partition("*")
        self.begun.append(name)
        return self._answers(name, int(times or 1)), not times

    async def _answers(self, name: str, times: int) -> AsyncGenerator[bytes, None]:
        try:
            await self.may.setdefault(name, asyncio.Event()).wait()
            for number in range(times):
                self.said.append(name)
                yield f"{name}{number}".encode()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.append(name)
            raise


async def source(*requests: str, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for one in requests:
        yield one.encode()
    if then:
        await then.wait()


def stream(models: Models, *requests: str, most: int = 100, most_bytes: int = 10**6, **more):
    return SideBySide(models.begin, most, most_bytes).answers(source(*requests, **more))


async def everything(answers: AsyncGenerator[bytes, None]) -> list[str]:
    return [answer.decode() async for answer in answers]


@pytest.fixture
def models() -> Models:
    return Models()


async def test_all_are_begun_before_one_is_answered(models):
    reading = asyncio.create_task(everything(stream(models, "a", "b", "c", "d")))
    await until(lambda: models.begun == ["a", "b", "c", "d"])
    assert not reading.done()
    models.let("d", "c", "b", "a")
    assert await soon(reading) == ["a0", "b0", "c0", "d0"]  # in the order of the requests


async def test_answers_come_while_the_client_may_still_ask(models):
    asks = asyncio.Event()
    answers = stream(models, "a", then=asks)
    models.let("a")
    assert await soon(anext(answers)) == b"a0"
    asks.set()
    assert await soon(everything(answers)) == []


async def test_what_has_several_answers_waits_for_nobody(models):
    answers = stream(models, "slow", "x*2", "y*2", "quick")
    models.let("quick", "y")
    assert [await soon(anext(answers)) for _ in range(2)] == [b"y0", b"y1"]
    models.let("x")
    assert [await soon(anext(answers)) for _ in range(2)] == [b"x0", b"x1"]
    models.let("slow")
    assert await soon(everything(answers)) == ["slow0", "quick0"]


async def test_several_with_several_answers_take_turns(models):
    models.let("x", "y")
    found = await soon(everything(stream(models, "x*9", "y*9")))
    assert found.index("y0") < found.index("x8")
    assert [one for one in found if one[0] == "x"] == [f"x{number}" for number in range(9)]


@pytest.mark.parametrize("limits", [{"most": 2}, {"most_bytes": 1}])
async def test_no_more_are_read_than_fit(models, limits):
    reading = asyncio.create_task(everything(stream(models, "a", "b", "c", "d", **limits)))
    await until(lambda: models.begun == ["a", "b"])
    for _ in range(20):
        await asyncio.sleep(0)
    assert models.begun == ["a", "b"]
    models.let("b")  # answered, but not in its turn: it still counts
    await until(lambda: models.said == ["b"])
    assert models.begun == ["a", "b"]
    models.let("a", "c", "d")
    assert await soon(reading) == ["a0", "b0", "c0", "d0"]


async def test_answers_that_wait_for_their_turn_count(models):
    reading = asyncio.create_task(everything(stream(models, "a", "b" * 100, "c", "d", most_bytes=150)))
    await until(lambda: models.begun[-1:] == ["d"])  # 103 bytes
    reading.cancel()
    models = Models()
    models.let("b" * 100)
    gate = asyncio.Event()

    async def source():
        yield b"a"
        yield b"b" * 100
        await gate.wait()
        yield b"c"
        yield b"d"

    reading = asyncio.create_task(everything(SideBySide(models.begin, 9, 150).answers(source())))
    await until(lambda: models.said == ["b" * 100])
    gate.set()  # its answer waits behind a's: 202 bytes
    await until(lambda: models.begun[-1] == "c")
    for _ in range(20):
        await asyncio.sleep(0)
    assert models.begun[-1] == "c"
    models.let("a", "c", "d")
    assert [one[0] for one in await soon(reading)] == ["a", "b", "c", "d"]


async def test_one_that_is_larger_than_what_fits_is_answered(models):
    models.let("long", "a")
    assert await soon(everything(stream(models, "long", "a", most_bytes=1))) == ["long0", "a0"]


async def test_nobody_says_more_than_a_slow_reader_takes(models):
    models.let("x", *map(str, range(50)))
    answers = stream(models, "x*1000", *map(str, range(50)), most=10)
    await soon(anext(answers))
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(models.said) < 20
    assert len(models.begun) <= 12
    assert len(await soon(everything(answers))) == 1049


async def test_leaving_cancels_all_that_runs(models):
    answers = stream(models, "a", "x*1000", "b", then=asyncio.Event())
    models.let("x")
    await soon(anext(answers))
    await soon(answers.aclose())
    assert sorted(models.cancelled) == ["a", "b", "x"]


async def test_a_cancelled_reader_does_too(models):
    reading = asyncio.create_task(everything(stream(models, "a", "b", then=asyncio.Event())))
    await until(lambda: models.begun == ["a", "b"])
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert sorted(models.cancelled) == ["a", "b"]


async def test_requests_that_break_off_break_the_stream(models):
    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await soon(everything(SideBySide(models.begin, 9, 99).answers(broken())))
    assert models.cancelled == ["a"] or not models.said
