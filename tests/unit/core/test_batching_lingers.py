"""How long a batcher waits for those whom a slow model just answered."""

import asyncio
import random

import pytest

from serve_app.core.batching import Batcher
from tests.unit.core.clock import after, still
from tests.unit.held import result, soon, x


async def of_three(clock, seconds, **options):
    """As `after`; but a batch of three was just answered."""
    held, batcher, caller, busy = await after(clock, seconds, **options)
    together = [await caller(1), await caller(2), await caller(3)]
    clock.now += seconds
    busy.answer()
    call = await held.next()
    assert call.rows == [1, 2, 3]
    clock.now += seconds
    call.answer()
    await asyncio.gather(*together)
    return held, batcher, caller


@pytest.mark.parametrize(("usual", "most"), [(0.04, 0.002), (0.1, 0.005), (9, 0.02)])
async def test_a_slow_model_lingers_for_those_it_just_answered(clock, usual, most):
    held, _, caller = await of_three(clock, usual)
    tasks = [await caller(4), await caller(5)]
    clock.now += most * 0.99
    assert await still(held)
    clock.now += most * 0.02
    call = await held.next()
    assert call.rows == [4, 5]
    call.answer()
    assert await asyncio.gather(*map(result, tasks)) == [[40], [50]]


@pytest.mark.parametrize("back", [[(4,), (5,), (6,)], [(4, 5, 6)], [(4,), (5, 6, 7)]])
async def test_it_lingers_until_as_many_are_back(clock, back):
    held, _, caller = await of_three(clock, 1)
    for values in back:
        assert await held.idle()
        await caller(*values)
    assert (await held.next()).rows == [value for values in back for value in values]


async def test_who_waited_already_is_expected_besides(clock):
    held, _, caller, busy = await after(clock, 1)
    await caller(1)
    await caller(2)
    busy.answer()
    call = await held.next()
    await caller(3)
    call.answer()
    await caller(4)
    assert await still(held)
    await caller(5)
    assert (await held.next()).rows == [3, 4, 5]


async def test_no_more_are_expected_than_a_batch_holds(clock):
    held, _, caller, busy = await after(clock, 1, rows=2)
    for value in (1, 2, 3):
        await caller(value)
    busy.answer()
    (await held.next()).answer()
    assert await still(held)
    await caller(4)
    assert (await held.next()).rows == [3, 4]


@pytest.mark.parametrize("late", [0.0201, 60])
async def test_who_comes_later_does_not_wait(clock, late):
    held, _, caller = await of_three(clock, 1)
    clock.now += late
    await caller(4)
    assert (await held.next()).rows == [4]


async def test_a_quick_model_does_not_linger(clock):
    held, _, caller = await of_three(clock, 0.019)
    await caller(4)
    assert (await held.next()).rows == [4]


async def test_nobody_lingers_after_a_batch_of_one(clock):
    held, _, caller = await of_three(clock, 1)
    await caller(4, 5, 6)
    task = await caller(7)
    (await held.next()).answer()
    call = await held.next()
    assert call.rows == [7]
    call.answer()
    await result(task)
    await caller(8)
    assert (await held.next()).rows == [8]


async def test_who_leaves_while_it_lingers_holds_nobody_up(clock):
    held, _, caller = await of_three(clock, 1)
    leaves, stays = await caller(4), await caller(5)
    leaves.cancel()
    clock.now += 0.021
    call = await held.next()
    assert call.rows == [5]
    call.answer()
    assert await result(stays) == [50]


@pytest.mark.parametrize("seed", range(6))
async def test_nobody_is_forgotten(seed):
    """Models of all speeds, changing limits, callers that ask again at once, alone and together."""
    rng = random.Random(seed)
    usual = rng.choice([0.001, 0.02, 0.03])

    async def execute(inputs, parameters):
        await asyncio.sleep(usual * rng.random() * 2)
        return {"y": inputs["x"]}

    batcher = Batcher(execute, 4, in_flight=2, spare=1)
    batcher._usual_s = usual  # not only after many executions

    async def caller(number: int) -> None:
        for turn in range(5):
            value = number * 10 + turn
            task = asyncio.create_task(batcher.submit(x(*[value] * rng.randint(1, 6)), {}))
            if rng.random() < 0.1:
                await asyncio.sleep(usual * rng.random())
                task.cancel()
            got = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(got, asyncio.CancelledError):
                assert set(got["y"].ravel()) == {value}
            if rng.random() < 0.2:
                slots = rng.randint(1, 4)
                batcher.configure(rng.randint(1, 6), rng.choice([0, 0, 1]), slots, rng.randrange(slots))
            await asyncio.sleep(rng.choice([0, 0, usual * rng.random()]))

    await soon(asyncio.gather(*map(caller, range(12))))
    await soon(batcher.submit(x(1), {}))
