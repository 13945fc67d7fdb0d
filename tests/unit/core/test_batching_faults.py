"""Members that fail and callers that leave: nobody else may notice."""

import asyncio
import random

import numpy as np
import pytest

from serve_app.core.batching import Batcher
from serve_app.errors import InvalidArgument, ModelFailed, Unavailable
from tests.unit.held import result, setup, soon


@pytest.mark.parametrize("kind", [ModelFailed, InvalidArgument])
async def test_whoever_is_at_fault_fails_alone(kind):
    held, _, caller = setup()
    block = await caller(0)
    busy = await held.next()
    good, bad, fine = await caller(1), await caller(-1), await caller(2)
    busy.answer()
    (await held.next()).fail(kind("together"))
    for rows in ([1], [-1, 2], [-1], [2]):  # in halves
        call = await held.next()
        assert call.rows == rows
        if -1 in call.rows:
            call.fail(kind("negative"))
        else:
            call.answer()
    assert [await result(good), await result(fine), await result(block)] == [[10], [20], [0]]
    with pytest.raises(kind, match="negative"):
        await bad


async def test_a_lost_replica_fails_the_batch_without_trying_each():
    held, _, caller = setup()
    block = await caller(0)
    busy = await held.next()
    tasks = [await caller(1), await caller(2)]
    busy.answer()
    (await held.next()).fail(Unavailable("gone"))
    for task in tasks:
        with pytest.raises(Unavailable, match="gone"):
            await task
    assert await held.idle()
    await block


@pytest.mark.parametrize("shape", [(), (1,), (3, 1)])
async def test_the_wrong_number_of_rows_is_the_models_fault(shape):
    held, _, caller = setup()
    task = await caller(1, 2)
    (await held.next()).result.set_result({"y": np.zeros(shape)})
    with pytest.raises(ModelFailed, match=r"'y'.*batch of 2 rows"):
        await task
    follower = await caller(3)
    (await held.next()).answer()
    assert await result(follower) == [30]


async def test_a_caller_that_leaves_the_queue_is_left_out():
    held, _, caller = setup()
    block = await caller(0)
    busy = await held.next()
    stays, leaves, waits = await caller(1), await caller(2), await caller(3)
    leaves.cancel()
    busy.answer()
    call = await held.next()
    assert call.rows == [1, 3]
    call.answer()
    assert [await result(stays), await result(waits), await result(block)] == [[10], [30], [0]]
    assert leaves.cancelled()


async def test_a_caller_that_leaves_a_running_batch_disturbs_nobody():
    """Setting the result of a cancelled caller must not stop the batcher."""
    held, _, caller = setup()
    block = await caller(0)
    busy = await held.next()
    leaves, stays = await caller(1), await caller(2)
    busy.answer()
    call = await held.next()
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert not call.cancelled.is_set()
    call.answer()
    assert await result(stays) == [20]
    follower = await caller(3)
    (await held.next()).answer()
    assert [await result(follower), await result(block)] == [[30], [0]]


async def test_a_batch_nobody_waits_for_is_stopped_and_its_slot_freed():
    held, _, caller = setup()
    block = await caller(0)
    busy = await held.next()
    first, second = await caller(1), await caller(2)
    busy.answer()
    call = await held.next()
    first.cancel()
    second.cancel()
    await soon(call.cancelled.wait())
    follower = await caller(3)
    (await held.next()).answer()
    assert [await result(follower), await result(block)] == [[30], [0]]


async def test_leaving_in_the_very_tick_of_the_start_frees_the_slot():
    held, _, caller = setup()
    task = await caller(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    follower = await caller(2)
    while (call := await held.next()).rows != [2]:
        await soon(call.cancelled.wait())
    call.answer()
    assert await result(follower) == [20]


async def test_the_last_caller_leaving_stops_a_batch_taken_apart():
    held, _, caller = setup()
    block = await caller(0)
    busy = await held.next()
    served, leaves = await caller(1), await caller(2)
    busy.answer()
    (await held.next()).fail(ModelFailed("together"))
    (await held.next()).answer()
    assert await result(served) == [10]
    alone = await held.next()
    leaves.cancel()
    await soon(alone.cancelled.wait())
    await block


@pytest.mark.parametrize("seed", range(6))
async def test_everybody_gets_their_own_rows_under_random_load(seed):
    """Many callers of all shapes; some fail, some leave; limits hold throughout."""
    rng = random.Random(seed)
    limit, slots = rng.randint(1, 8), rng.randint(1, 3)
    running = peak = 0

    async def execute(inputs, parameters):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        try:
            for _ in range(rng.randint(0, 6)):
                await asyncio.sleep(0)
            array = inputs["x"]
            assert len(array) <= limit
            if (array < 0).any():
                raise ModelFailed("a negative number")
            return {"y": array * parameters.get("by", 1), "wide": np.repeat(array, 2, axis=1)}
        finally:
            running -= 1

    batcher = Batcher(execute, limit, rng.choice([0, 0, 1]), slots)

    async def caller(number: int) -> str:
        for _ in range(rng.randint(0, 40)):
            await asyncio.sleep(0)
        rows, columns = rng.randint(0, 2 * limit), rng.randint(1, 2)
        array = (number * 1000 + np.arange(rows * columns)).reshape(rows, columns)
        array = array.astype(rng.choice(["int64", "float64"]))
        bad = rows > 0 and rng.random() < 0.1
        if bad:
            array[rng.randrange(rows)] = -1
        parameters = rng.choice([{}, {"by": 2}, {"by": 3}])
        task = asyncio.create_task(batcher.submit({"x": array}, parameters))
        if rng.random() < 0.2:
            for _ in range(rng.randint(0, 10)):
                await asyncio.sleep(0)
            task.cancel()
        try:
            got = await task
        except ModelFailed:
            assert bad
            return "failed"
        except asyncio.CancelledError:
            return "left"
        assert not bad
        assert np.array_equal(got["y"], array * parameters.get("by", 1))
        assert got["y"].dtype == array.dtype
        assert np.array_equal(got["wide"], np.repeat(array, 2, axis=1))
        return "served"

    outcomes = await asyncio.gather(*(caller(number) for number in range(150)))
    assert peak <= slots
    assert {"failed", "left", "served"} == set(outcomes)
    assert (await batcher.submit({"x": np.ones((1, 1))}, {}))["y"].tolist() == [[1]]
