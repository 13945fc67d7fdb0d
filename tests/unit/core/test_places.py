"""Who is let in, why others aren't, and when they may come back."""

import asyncio

import numpy as np
import pytest

from serve_app.config import Limits
from serve_app.core.call import Call, Headers
from serve_app.core.places import Room
from serve_app.errors import Overloaded
from serve_app.ingress.rest import RestApp
from tests.unit.core.virtual import Works, open_model, plane, virtually
from tests.unit.planes import call, request, tensor

ROW = [[1.0, 2.0]]


def slow():
    """A model that answers one request a second, and has done so for a while, and its plane."""
    made = plane()
    return made, open_model(made, "m", Works(1, lambda rows: 1.0), 1)


async def used_to_it(made) -> None:
    await asyncio.gather(*(made.infer(call(tensor(ROW))) for _ in range(40)))


def begin(made, **extra) -> asyncio.Task:
    return asyncio.create_task(made.infer(call(tensor(ROW), **extra)))


async def fill(made, asked=lambda: call(tensor(ROW))) -> list[asyncio.Task]:
    """As many as are let in."""
    waiting: list[asyncio.Task] = []
    while not any(task.done() for task in waiting):
        waiting.append(asyncio.create_task(made.infer(asked())))
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await waiting.pop()
    return waiting


async def refusal(made, asked: Call) -> Overloaded:
    with pytest.raises(Overloaded) as refused:
        await made.infer(asked)
    return refused.value


def test_what_would_wait_for_too_long_is_refused_at_once(monkeypatch):
    async def work():
        made, model = slow()
        await used_to_it(made)
        loop = asyncio.get_running_loop()
        waiting = await fill(made)
        assert 28 <= len(waiting) <= 36  # a second each, and half of a minute may be spent on waiting
        began = loop.time()
        error = await refusal(made, call(tensor(ROW)))
        assert loop.time() == began
        assert f"'m' has {len(waiting)} requests waiting, one more would wait for about" in error.message
        assert 25 < error.retry_after < 35
        assert model.turned_away == {"time": 2}
        # A shorter limit of the request's own counts, in its parameters or by gRPC's deadline.
        await asyncio.sleep(21)
        late = await refusal(made, call(tensor(ROW), parameters={"timeout": 5_000_000}))
        assert 9 < late.retry_after < 14
        for headers in (
            Headers([("grpc-timeout", "5S")]),
            Headers([(b"grpc-timeout", b"5000m")]),
            Headers((), lambda: 5.0),
        ):
            await refusal(made, Call(request(tensor(ROW)), headers, "grpc"))
        waiting.append(begin(made))
        await asyncio.gather(*waiting)
        assert model.turned_away == {"time": 6}

    virtually(monkeypatch, work)


@pytest.mark.parametrize(
    "headers",
    [
        Headers(), Headers([("grpc-timeout", "99H")]), Headers([("grpc-timeout", "soon")]),
        Headers((), lambda: None),
    ],
)  # fmt: skip
def test_a_client_that_says_nothing_has_the_servers_time(monkeypatch, headers):
    async def work():
        made, _ = slow()
        await used_to_it(made)
        waiting = [begin(made) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.gather(*waiting, made.infer(Call(request(tensor(ROW)), headers, "grpc")))

    virtually(monkeypatch, work)


def test_a_limit_that_is_set_is_the_only_one(monkeypatch):
    async def work():
        made, model = slow()
        await used_to_it(made)
        model.max_queued = 100
        made.directory.room.most = 10
        waiting = [begin(made) for _ in range(100)]
        await asyncio.sleep(0)
        error = await refusal(made, call(tensor(ROW)))
        assert "100 requests waiting, the limit (maxQueuedRequests)" in error.message
        assert model.turned_away == {"limit": 1}
        for task in waiting:
            task.cancel()

    virtually(monkeypatch, work)


def test_where_there_is_no_room_a_model_nobody_knows_is_bounded(monkeypatch):
    async def work():
        made, _ = slow()
        made.directory.room.most = 64
        waiting = [begin(made) for _ in range(32)]
        await asyncio.sleep(0)
        error = await refusal(made, call(tensor(ROW)))
        assert "32 requests waiting, which is its share of the room" in error.message
        assert error.retry_after == 1.0
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert made.directory.room.taken == 0
        await made.infer(call(tensor(ROW)))

    virtually(monkeypatch, work)


def test_over_http_the_header_says_when(monkeypatch):
    async def work():
        made, _ = slow()
        app, sent = RestApp(made, Limits), []
        await used_to_it(made)
        waiting = await fill(made)

        async def receive():
            body = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}'
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v2/models/m/infer", "headers": []}
        assert await app(scope, receive, send) == 503
        assert 25 <= int(dict(sent[0]["headers"])[b"retry-after"]) <= 35
        await asyncio.gather(*waiting)

    virtually(monkeypatch, work)


def test_one_version_is_slow_and_another_is_not(monkeypatch):
    async def work():
        made, _ = slow()
        await used_to_it(made)
        waiting = await fill(made)
        await refusal(made, call(tensor(ROW)))
        other = begin(made, version="1")
        await asyncio.gather(*waiting, other)

    virtually(monkeypatch, work)


def test_a_large_room_has_a_place_for_who_has_none():
    room = Room(2)
    assert not room.full(0)
    room.taken += 1
    assert room.full(1)
    assert not room.full(0)


def test_rows_count_where_there_are_batches(monkeypatch):
    """A request of many rows is many that wait."""

    async def work():
        made = plane()
        made.timeout = 20.0
        model = open_model(made, "m", Works(1, lambda rows: 1.0), 1, max_batch_size=8)
        eight = tensor(np.zeros((8, 2), np.float32))
        await asyncio.gather(*(made.infer(call(eight)) for _ in range(15)))
        waiting = await fill(made, lambda: call(eight))
        assert 9 <= len(waiting) <= 14  # ten seconds
        assert model.versions["2"].waiting.ahead == (len(waiting) - 1) * 8
        await refusal(made, call(tensor(ROW)))
        await asyncio.gather(*waiting)
        assert model.versions["2"].waiting.ahead == 0

    virtually(monkeypatch, work)
