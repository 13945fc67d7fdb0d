"""A request that spoils its batch, and a client that sends them on and on: what the others wait for."""

import asyncio

import pytest

from serve_app.core.batching import Batcher
from serve_app.core.blame import Blame
from serve_app.core.call import Call, Headers
from serve_app.errors import InvalidArgument, ModelFailed
from serve_app.protocol.tensors import InferRequest
from tests.unit.held import Held, setup, soon, x


class Poisoned:
    """Answers, but for batches with a negative number; keeps how many rows each had."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    async def __call__(self, inputs, parameters):
        self.rows.append(inputs["x"][:, 0].tolist())
        await asyncio.sleep(0)
        if min(self.rows[-1]) < 0:
            raise ModelFailed("a negative number")
        return inputs


def named(name):
    return lambda: name


async def together(batcher, values, who=None):
    """One batch of them all behind one that runs; the answers, errors among them."""
    tasks = [batcher.submit(x(value), {}, who and who(value)) for value in (1000, *values)]
    return (await asyncio.gather(*tasks, return_exceptions=True))[1:]


@pytest.mark.parametrize(("bad", "most"), [([17], 11), ([0], 11), ([0, 31], 20), ([5, 6], 13)])
async def test_a_batch_is_taken_apart_by_halves(bad, most):
    model = Poisoned()
    values = [-1 if place in bad else place + 1 for place in range(32)]
    found = await together(Batcher(model, 32), values)
    assert [place for place, one in enumerate(found) if isinstance(one, ModelFailed)] == bad
    for value, one in zip(values, found, strict=True):
        assert value < 0 or one["x"].tolist() == [[value]]
    assert model.rows[1] == values
    assert len(model.rows) - 1 <= most


async def test_whoever_keeps_failing_rides_alone():
    model = Poisoned()
    batcher = Batcher(model, 8)

    def who(value):
        return named("bad" if value < 0 else "good")

    for _ in range(3):
        await together(batcher, [1, -1, 2], who)
    model.rows.clear()
    found = await together(batcher, [1, -1, 2, -2, 3], who)
    assert model.rows == [[1000, 1, 2, 3], [-1, -2], [-1], [-2]]
    assert [isinstance(one, ModelFailed) for one in found] == [False, True, False, True, False]


async def test_who_failed_alone_is_known_too():
    held, batcher, _ = setup()
    for _ in range(3):
        task = asyncio.create_task(batcher.submit(x(-1), {}, named("bad")))
        (await held.next()).fail(InvalidArgument("no"))
        with pytest.raises(InvalidArgument):
            await task
    tasks = [asyncio.create_task(batcher.submit(x(0), {}))]
    busy = await held.next()
    for value, name in ((1, "bad"), (2, "good"), (3, "bad"), (4, "")):
        tasks.append(asyncio.create_task(batcher.submit(x(value), {}, named(name))))
    await asyncio.sleep(0)
    busy.answer()
    for rows in ([1, 3], [2, 4]):
        call = await held.next()
        assert call.rows == rows
        call.answer()
    await soon(asyncio.gather(*tasks))


def test_blame_is_forgotten_and_has_an_end(monkeypatch):
    now = 0.0
    monkeypatch.setattr("serve_app.core.blame.time.monotonic", lambda: now)
    blame, a = Blame(), named("a")
    for _ in range(2):
        blame.failed(a)
    assert blame.alone(a) == ""
    blame.failed(a)
    assert blame.alone(a) == "a"
    assert blame.alone(named("b")) == blame.alone(None) == ""
    now = 29.0
    assert blame.alone(a) == "a"
    now = 31.0
    assert blame.alone(a) == ""
    blame.failed(a)  # the first of a new row
    assert blame.alone(a) == ""
    for number in range(2000):
        for _ in range(3):
            blame.failed(named(f"c{number}"))
    assert blame.alone(named("c0")) == ""
    assert blame.alone(named("c1999")) == "c1999"
    blame.failed(None)
    blame.failed(named(""))
    assert blame.alone(named("")) == ""


@pytest.mark.parametrize(
    ("headers", "principal", "name"),
    [
        ([], "", ""),
        ([(b"x-client-address", b"10.0.0.7")], "", "10.0.0.7"),
        ([(b"X-Client-Address", b"10.0.0.7")], "", "10.0.0.7"),
        ([(b"x-forwarded-for", b"9.9.9.9")], "", ""),  # anybody can say that
        ([("x-client-address", "10.0.0.7")], "a-user", "a-user"),
    ],
)
def test_who_a_client_is(headers, principal, name):
    made = Call(InferRequest("m", "", "", []), Headers(headers), principal=principal)
    assert made.client() == name


async def test_a_large_request_lets_others_in_between():
    """One of 100 pieces: who comes behind it waits for a few of them, not for all."""
    held = Held()
    batcher = Batcher(held, 1, in_flight=2)
    large = asyncio.create_task(batcher.submit(x(*range(100)), {}))
    first = [await held.next(), await held.next()]
    small = asyncio.create_task(batcher.submit(x(1000), {}))
    await asyncio.sleep(0)
    order = []
    for call in first:
        call.answer()
    while not small.done():
        call = await held.next()
        order.append(call.rows[0])
        call.answer()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert order.index(1000) <= 2
    while not large.done():
        (await held.next()).answer()
        for _ in range(5):
            await asyncio.sleep(0)
    assert (await large)["y"][:, 0].tolist() == [10 * value for value in range(100)]


async def test_after_a_piece_that_fails_none_is_begun():
    held, batcher, _ = setup(rows=1)
    task = asyncio.create_task(batcher.submit(x(*range(50)), {}))
    (await held.next()).fail(ModelFailed("no"))
    (await held.next()).answer()  # it waited already
    with pytest.raises(ModelFailed, match="no"):
        await soon(task)
    assert await held.idle()
