import asyncio
import time

import pytest

from serve_app.core.deadlines import Deadlines, Departures
from tests.unit.loops import LOOPS  # noqa: F401

LATE = 0.15  # how much later than due something may happen on a busy machine


async def limited(deadlines: Deadlines, seconds: float, work: float) -> tuple[str, float]:
    """How `work` seconds of sleep under a limit end, and when."""
    started = time.monotonic()
    try:
        with deadlines.within(seconds):
            await asyncio.sleep(work)
    except TimeoutError:
        return "late", time.monotonic() - started
    return "in time", time.monotonic() - started


def alone() -> bool:
    """Whether this task is the only one left."""
    return asyncio.all_tasks() == {asyncio.current_task()}


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_in_time():
    deadlines = Deadlines()
    assert (await limited(deadlines, 0.05, 0))[0] == "in time"
    await asyncio.sleep(0.1)  # its limit comes, and concerns nobody
    assert cancelling() == 0
    assert alone()


async def test_too_late():
    outcome, spent = await limited(Deadlines(), 0.03, 5)
    assert outcome == "late"
    assert 0.025 < spent < 0.03 + LATE
    await asyncio.sleep(0)
    assert cancelling() == 0
    assert alone()


async def test_the_own_error_comes_out():
    deadlines = Deadlines()
    for error in (ValueError("mine"), TimeoutError("mine")):
        with pytest.raises(type(error), match="mine"), deadlines.within(1):
            raise error


async def test_each_of_many_limits_holds():
    deadlines = Deadlines()
    limits = [0.2, 0.02, 0.1, 0.06, 0.02, 0.15, 5.0]  # shorter ones after longer ones, and equal ones
    runs = [limited(deadlines, limit, 0.25 if limit == 5 else 9) for limit in limits]
    found = await asyncio.gather(*runs)
    assert [outcome for outcome, _ in found] == ["late"] * 6 + ["in time"]
    for limit, (_, spent) in zip(limits[:-1], found[:-1], strict=True):
        assert limit - 0.005 < spent < limit + LATE


async def test_a_shorter_limit_added_later_fires_in_time():
    deadlines = Deadlines()
    long = asyncio.create_task(limited(deadlines, 0.3, 9))
    await asyncio.sleep(0.02)
    outcome, spent = await limited(deadlines, 0.03, 9)
    assert outcome == "late"
    assert spent < 0.03 + LATE
    outcome, spent = await long
    assert outcome == "late"
    assert 0.295 < spent < 0.3 + LATE


async def test_many_quick_ones_set_one_timer(monkeypatch):
    loop, timers = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def counted(*args, **options):
        timers.append(args)
        return call_at(*args, **options)

    monkeypatch.setattr(loop, "call_at", counted)
    deadlines = Deadlines()
    for _ in range(100):
        assert (await limited(deadlines, 60, 0))[0] == "in time"
    assert len(timers) == 1


@pytest.mark.parametrize("seconds", [0, 1e-6, 2e-4, 1e-3])
async def test_hardly_any_time_beside_others(seconds):
    """What an event loop rounds to nothing is no timer to it, and others come while it is due."""
    deadlines = Deadlines()
    for _ in range(20):
        runs = [
            limited(deadlines, limit, work) for limit, work in [(seconds, 1), (9, 0.002), (8, 0.001)]
        ]
        found = await asyncio.gather(*runs)
        assert [outcome for outcome, _ in found] == ["late", "in time", "in time"]


async def test_cancelled_from_outside():
    deadlines = Deadlines()
    task = asyncio.create_task(limited(deadlines, 0.05, 9))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert alone()


@pytest.mark.parametrize("first", ["limit", "outside"])
async def test_cancelled_from_outside_in_the_moment_of_the_limit(first):
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    task = asyncio.create_task(limited(deadlines, 0.03, 9))
    await asyncio.sleep(0)
    loop.call_later(0.02 if first == "outside" else 0.04, task.cancel)
    time.sleep(0.06)  # noqa: ASYNC251 - so that both are due when the loop looks again
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_inside_another_timeout():
    deadlines = Deadlines()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            assert (await limited(deadlines, 9, 9))[0] == "never"
    async with asyncio.timeout(9):
        assert (await limited(deadlines, 0.02, 9))[0] == "late"
        await asyncio.sleep(0)
    assert cancelling() == 0


async def test_one_inside_the_other():
    async def outer(deadlines: Deadlines) -> None:
        with deadlines.within(0.06):
            assert (await limited(deadlines, 0.02, 9))[0] == "late"
            assert (await limited(deadlines, 9, 0.01))[0] == "in time"
            await asyncio.sleep(9)

    with pytest.raises(TimeoutError):
        await outer(Deadlines())
    assert cancelling() == 0


async def test_an_answer_in_spite_of_the_limit_counts():
    async def uncancellable() -> str:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            return "answer"
        return ""

    deadlines = Deadlines()
    with deadlines.within(0.02):
        assert await uncancellable() == "answer"
    await asyncio.sleep(0)
    assert cancelling() == 0


class Client:
    """Leaves when `left` is set; counts who waits for that."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.watched = 0

    async def departure(self) -> None:
        self.watched += 1
        await self.left.wait()


async def request(departures: Departures, client: Client, seconds: float) -> tuple[str, bool]:
    """How a request of this length ends, and whether because its client left."""
    task = departures.watch(client.departure)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        gone = departures.forget(task)
        if not gone:
            raise
        await asyncio.sleep(0)  # no cancellation is left over
        return "cancelled", gone
    return "answered", departures.forget(task)


async def test_a_quick_request_is_never_watched():
    departures, client = Departures(0.02), Client()
    assert await request(departures, client, 0) == ("answered", False)
    await asyncio.sleep(0.05)
    assert client.watched == 0
    assert alone()


async def test_a_slow_request_is_watched_by_one():
    departures, client = Departures(0.01), Client()
    assert await request(departures, client, 0.1) == ("answered", False)
    assert client.watched == 1
    await asyncio.sleep(0)
    assert alone()


@pytest.mark.parametrize("leaves_after", [0, 0.03])
async def test_a_client_that_leaves(leaves_after):
    departures, client = Departures(0.02), Client()
    running = asyncio.create_task(request(departures, client, 9))
    await asyncio.sleep(leaves_after)
    started = time.monotonic()
    client.left.set()
    assert await running == ("cancelled", True)
    assert time.monotonic() - started < 0.02 + LATE
    assert running.cancelling() == 0
    assert alone()


async def test_only_the_one_that_left_is_cancelled():
    departures = Departures(0.01)
    for _ in range(2):  # the looks go on after the first
        clients = [Client() for _ in range(5)]
        running = [asyncio.create_task(request(departures, client, 0.08)) for client in clients]
        await asyncio.sleep(0.03)
        clients[2].left.set()
        ended = await asyncio.gather(*running)
        assert ended.pop(2) == ("cancelled", True)
        assert ended == [("answered", False)] * 4
        assert [client.watched for client in clients] == [1] * 5
    await asyncio.sleep(0)
    assert alone()


async def test_cancelled_from_elsewhere_is_no_departure():
    departures, client = Departures(0.01), Client()
    for seconds in (0, 0.03):  # before and after the look
        running = asyncio.create_task(request(departures, client, 9))
        await asyncio.sleep(seconds)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await asyncio.sleep(0)
    assert alone()


async def test_leaving_after_the_answer_does_nothing():
    departures, client = Departures(0.01), Client()
    assert await request(departures, client, 0.03) == ("answered", False)
    client.left.set()
    await asyncio.sleep(0.03)
    assert cancelling() == 0


async def test_leaving_in_the_very_tick_of_the_answer_does_nothing():
    departures, client = Departures(0.01), Client()
    task = departures.watch(client.departure)
    await asyncio.sleep(0.03)
    assert client.watched == 1
    client.left.set()
    assert not departures.forget(task)
    await asyncio.sleep(0.03)
    assert cancelling() == 0
    assert alone()


async def test_the_next_request_of_the_same_task_starts_anew():
    departures = Departures(0.01)
    gone, stays = Client(), Client()
    gone.left.set()
    assert await request(departures, gone, 9) == ("cancelled", True)
    assert await request(departures, stays, 0.03) == ("answered", False)
    assert await request(departures, gone, 9) == ("cancelled", True)
