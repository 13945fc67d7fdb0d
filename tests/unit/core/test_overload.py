"""Models of known capacity under seeded load, in time of their own: what is answered, what refused."""

import asyncio
import random

import pytest

from tests.unit.core.virtual import Traffic, Works, open_model, plane, virtually

MEAN, AT_ONCE = 0.02, 4  # seconds, executions at a time
CAPACITY = AT_ONCE / MEAN
BATCH = 32


def service(kind: str, chance: random.Random):
    """Seconds that an execution takes, by its rows; MEAN in the mean, or of a full batch."""
    return {
        "constant": lambda rows: MEAN,
        "exponential": lambda rows: chance.expovariate(1 / MEAN),
        "bimodal": lambda rows: MEAN * (10 if chance.random() < 0.05 else 10 / 19),
        "batches": lambda rows: MEAN * (1 + rows / BATCH) / 2,
    }[kind]


def under(
    monkeypatch, kind: str, load: float, seconds: float = 4.0, timeout: float = 2.0, seed: int = 3
):
    """`load` times its capacity; what became of the requests after one time limit, and the model."""

    async def work():
        chance, made = random.Random(seed), plane()
        made.timeout = timeout
        batches = kind == "batches"
        slots, extra = (1, {"max_batch_size": BATCH}) if batches else (AT_ONCE, {})
        capacity = BATCH / MEAN / 4 if batches else CAPACITY  # an execution of 4 x MEAN, one at a time
        how = service(kind, chance)
        works = Works(slots, (lambda rows: 4 * how(rows)) if batches else how)
        model = open_model(made, "m", works, slots, **extra)
        traffic = Traffic(made, "m", load * capacity, random.Random(seed + 1))
        await traffic.run(timeout)
        traffic.take()
        await traffic.run(seconds)
        ended, waits = dict(traffic.ended), sorted(traffic.waits)
        hints = sorted(traffic.hints)
        await traffic.over()
        assert model.pending == made.directory.room.taken == 0
        assert model.versions["2"].waiting.ahead <= 0
        return ended, waits, hints, capacity * seconds

    return virtually(monkeypatch, work)


@pytest.mark.parametrize("kind", ["constant", "exponential", "bimodal", "batches"])
@pytest.mark.parametrize("load", [0.5, 0.9])
def test_nobody_is_refused_below_capacity(monkeypatch, kind, load):
    ended, _, _, most = under(monkeypatch, kind, load)
    assert set(ended) == {"ok"}
    assert ended["ok"] > 0.8 * load * most


@pytest.mark.parametrize("kind", ["constant", "exponential", "bimodal", "batches"])
@pytest.mark.parametrize("load", [1.0, 3.0, 10.0])
def test_above_it_what_cant_be_answered_in_time_is_refused_at_once(monkeypatch, kind, load):
    ended, waits, hints, most = under(monkeypatch, kind, load, seconds=4.0 if load > 3 else 6.0)
    assert ended["ok"] >= 0.9 * most
    assert ended.get("late", 0) <= 0.02 * ended["ok"]
    assert waits[len(waits) // 2] < 1.5  # of 2 seconds
    if load > 1:
        assert ended["refused"] > 0.8 * (load - 1) * most
        assert all(0.5 < hint <= 3 for hint in hints)


@pytest.mark.parametrize("timeout", [0.4, 8.0])
def test_the_queue_follows_from_the_time_limit(monkeypatch, timeout):
    ended, waits, _, most = under(monkeypatch, "exponential", 3.0, timeout=timeout)
    assert ended["ok"] >= 0.9 * most
    assert timeout / 4 < waits[len(waits) // 2] < timeout * 0.75


def test_a_slow_model_that_few_wait_for(monkeypatch):
    """One second each, one at a time, of sixty: thirty may wait."""

    async def work():
        made = plane()
        model = open_model(made, "m", Works(1, lambda rows: 1.0), 1)
        traffic = Traffic(made, "m", 3.0, random.Random(1))
        await traffic.run(60)
        traffic.take()
        await traffic.run(60)
        ended = dict(traffic.ended)
        await traffic.over()
        return ended, model.turned_away

    ended, why = virtually(monkeypatch, work)
    assert ended["ok"] >= 0.95 * 60
    assert set(ended) == {"ok", "refused"}
    assert set(why) == {"time"}


def changing(
    monkeypatch, phases, load: float = 3.0, patience: float = float("inf"), timeout: float = 2.0
):
    """Phases of (seconds, seconds of one execution); what became of the requests of each."""

    async def work():
        made = plane()
        made.timeout = timeout
        works = Works(AT_ONCE, lambda rows: MEAN)
        open_model(made, "m", works, AT_ONCE)
        traffic = Traffic(made, "m", load * CAPACITY, random.Random(5), patience)
        found = []
        for seconds, each in phases:
            works.service = lambda rows, each=each: each
            await traffic.run(seconds)
            found.append(traffic.take())
        await traffic.over()
        return found

    return virtually(monkeypatch, work)


def test_a_phase_in_which_it_is_slow_is_forgotten_when_it_is_over(monkeypatch):
    """A hundred times as slow, for 10 s; three seconds after its end it is what it was."""
    found = changing(monkeypatch, [(3, MEAN), (10, 100 * MEAN), (3, MEAN), (3, MEAN)])
    assert found[3]["ok"] >= 0.95 * 3 * CAPACITY


def test_one_execution_that_hangs_for_a_while_is_no_new_pace(monkeypatch):
    found = changing(monkeypatch, [(3, MEAN), (0.01, 5.0), (3, MEAN), (3, MEAN), (2, MEAN)])
    assert found[4]["ok"] >= 0.95 * 2 * CAPACITY


def test_after_a_slow_phase_an_idle_model_takes_whoever_comes(monkeypatch):
    async def work():
        made = plane()
        made.timeout = 2.0
        works = Works(AT_ONCE, lambda rows: 30.0)
        open_model(made, "m", works, AT_ONCE)
        slow = Traffic(made, "m", 50.0, random.Random(1))
        await slow.run(60)
        await slow.over()
        works.service = lambda rows: MEAN
        await asyncio.sleep(200)
        quick = Traffic(made, "m", 0.9 * CAPACITY, random.Random(2))
        await quick.run(5)
        await quick.over()
        return quick.ended

    assert set(virtually(monkeypatch, work)) == {"ok"}


def test_what_comes_at_once_to_a_model_that_nobody_knows_waits(monkeypatch):
    """A cold start of ten seconds: nobody is refused for it, neither the first time nor later."""

    async def work():
        made = plane()
        works = Works(AT_ONCE, lambda rows: MEAN)
        open_model(made, "m", works, AT_ONCE)
        ended = []
        for _ in range(2):
            burst = Traffic(made, "m", 1000.0, random.Random(2))
            works.service = lambda rows: 10.0
            starts = asyncio.get_running_loop().call_later(
                5, lambda: setattr(works, "service", lambda rows: MEAN)
            )
            await burst.run(1)
            await burst.over()
            starts.cancel()
            ended.append(burst.ended)
            await asyncio.sleep(100)
        return ended

    assert [set(one) for one in virtually(monkeypatch, work)] == [{"ok"}] * 2


def test_clients_that_leave_show_how_long_they_wait(monkeypatch):
    """Nobody says that they leave after 2 s, of 60: most of their requests are answered all the same."""
    found = changing(monkeypatch, [(6, MEAN), (8, MEAN)], patience=2.0, timeout=60.0)
    assert found[1]["ok"] >= 0.9 * 8 * CAPACITY


def test_a_few_clients_that_leave_soon_are_not_everybody(monkeypatch):
    async def work():
        made = plane()
        made.timeout = 4.0
        open_model(made, "m", Works(AT_ONCE, lambda rows: MEAN), AT_ONCE)
        hasty = Traffic(made, "m", 0.2 * CAPACITY, random.Random(1), patience=0.2)
        patient = Traffic(made, "m", 2.0 * CAPACITY, random.Random(2))
        await asyncio.gather(hasty.run(10), patient.run(10))
        waits = sorted(patient.waits)
        await asyncio.gather(hasty.over(), patient.over())
        return waits

    waits = virtually(monkeypatch, work)
    assert waits[-1] > 1.5  # they still wait for up to half of their time


def test_neighbours_notice_nothing(monkeypatch):
    """Three models get ten times what they can do, each with a long time limit; a fourth goes on."""

    async def work():
        made = plane()
        made.timeout = 600.0
        for name in ("a", "b", "c"):
            open_model(made, name, Works(AT_ONCE, lambda rows: 1.0), AT_ONCE)
        open_model(made, "quiet", Works(AT_ONCE, lambda rows: MEAN), AT_ONCE)
        loud = [Traffic(made, name, 300.0, random.Random(seed)) for seed, name in enumerate("abc")]
        quiet = Traffic(made, "quiet", 0.5 * CAPACITY, random.Random(9))
        await asyncio.gather(*(one.run(10) for one in (*loud, quiet)))
        ended, waits = dict(quiet.ended), sorted(quiet.waits)
        held = {name: made.directory.models[name].pending for name in ("a", "b", "c")}
        for task in [task for one in loud for task in one._tasks]:
            task.cancel()
        await asyncio.gather(*(one.over() for one in (*loud, quiet)), return_exceptions=True)
        return ended, waits, held, made.directory.room

    ended, waits, held, room = virtually(monkeypatch, work)
    assert set(ended) == {"ok"}
    assert waits[int(0.99 * len(waits))] < 3 * MEAN
    assert all(0.2 * room.most < many < 0.3 * room.most for many in held.values())
    assert room.taken == 0


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 8}])
def test_after_an_hour_without_requests_a_burst_is_let_in(monkeypatch, extra):
    """Silence while nobody asks is no execution that takes long."""

    async def work():
        made = plane()
        model = open_model(made, "m", Works(1, lambda rows: MEAN), 1, **extra)
        ended = []
        for _ in range(2):
            burst = Traffic(made, "m", 5000.0, random.Random(2))
            await burst.run(0.02)
            await burst.over()
            ended.append(set(burst.ended))
            await asyncio.sleep(3600)
        return ended, model.turned_away

    assert virtually(monkeypatch, work) == ([{"ok"}] * 2, {})
