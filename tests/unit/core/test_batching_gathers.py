"""A quick model that several ask at a time: whom its batch waits for."""

import asyncio

import pytest

from tests.unit.core.clock import after
from tests.unit.held import result, setup

TURNS = 40  # of the loop: more than it takes to see that nobody comes


async def of_two(clock, seconds=0.001, **options):
    """As `after`; but a batch of two was just answered."""
    held, batcher, caller, busy = await after(clock, seconds, **options)
    together = [await caller(1), await caller(2)]
    clock.now += seconds
    busy.answer()
    call = await held.next()
    assert call.rows == [1, 2]
    clock.now += seconds
    call.answer()
    await asyncio.gather(*together)
    return held, batcher, caller


async def turns(many: int) -> None:
    for _ in range(many):
        await asyncio.sleep(0)


@pytest.mark.parametrize("apart", [0, 1])
async def test_those_whom_the_loop_reads_in_turn_go_together(clock, apart):
    held, _, caller = await of_two(clock, rows=16)
    tasks = []
    for value in range(6):
        tasks.append(await caller(value))  # takes a turn
        await turns(apart)
    assert held.calls.empty()
    call = await held.next()
    assert call.rows == list(range(6))
    call.answer()
    assert await asyncio.gather(*map(result, tasks)) == [[value * 10] for value in range(6)]


async def test_who_is_queued_when_a_batch_ends_waits_for_the_others_too(clock):
    held, _, caller = await of_two(clock, rows=16)
    await caller(1)
    call = await held.next()
    await caller(2)
    call.answer()
    await turns(1)
    await caller(3)
    assert (await held.next()).rows == [2, 3]


async def test_a_full_batch_leaves_at_once(clock):
    held, _, caller = await of_two(clock, rows=4)
    for value in range(4):
        assert held.calls.empty()
        await caller(value)
    await turns(1)  # the batch's own task begins
    assert held.calls.get_nowait().rows == [0, 1, 2, 3]


async def test_what_is_queued_for_a_full_batch_leaves_as_one_ends(clock):
    held, _, caller = await of_two(clock, rows=4)
    for value in range(4):
        await caller(value)
    call = await held.next()
    for value in range(4, 8):
        await caller(value)
    call.answer()
    await turns(4)  # of the batch's tasks
    assert held.calls.get_nowait().rows == [4, 5, 6, 7]


async def test_who_asks_alone_is_answered_at_once():
    held, _, caller = setup(16)
    for _ in range(3):
        task = await caller(1)  # it runs in its caller's own task
        held.calls.get_nowait().answer()
        await result(task)


async def test_who_is_alone_again_waits_no_more(clock):
    held, _, caller = await of_two(clock, rows=16)
    task = await caller(1)
    assert held.calls.empty()
    call = await held.next()
    call.answer()
    await result(task)
    await caller(2)
    assert held.calls.get_nowait().rows == [2]


async def test_those_who_keep_coming_hold_nobody_up_for_ever(clock):
    held, _, caller = await of_two(clock, rows=1000)
    for value in range(TURNS):
        await caller(value)
    assert held.calls.empty()
    clock.now += 0.021
    await caller(TURNS)
    await turns(1)
    assert held.calls.get_nowait().rows[:TURNS] == list(range(TURNS))


async def test_a_slow_model_gathers_nobody(clock):
    held, _, caller = await of_two(clock, 0.021, rows=16)
    clock.now += 1  # nor does it linger
    await caller(1)
    await turns(1)
    assert held.calls.get_nowait().rows == [1]


async def test_who_waits_for_company_by_configuration_gathers_nobody(clock):
    held, batcher, caller = await of_two(clock, rows=16)
    batcher.configure(16, 1000, 1)
    await caller(1)
    await turns(TURNS)
    assert held.calls.empty()


async def test_who_leaves_while_others_gather(clock):
    held, _, caller = await of_two(clock, rows=16)
    leaves, stays = await caller(1), await caller(2)
    leaves.cancel()
    call = await held.next()
    assert call.rows == [2]
    call.answer()
    assert await result(stays) == [20]


async def test_all_leave_while_they_gather(clock):
    held, batcher, caller = await of_two(clock, rows=16)
    (await caller(1)).cancel()
    await turns(TURNS)
    assert held.calls.empty()
    assert batcher.waiting.ahead == 0
    await caller(2)
    assert (await held.next()).rows == [2]


async def test_a_batcher_that_closes_while_they_gather(clock):
    held, batcher, caller = await of_two(clock, rows=16)
    task = await caller(1)
    batcher.close()
    with pytest.raises(Exception, match="being removed"):
        await result(task)
    await turns(TURNS)
    assert held.calls.empty()


async def test_each_slot_gathers(clock):
    held, _, caller, first = await after(clock, 0.001, rows=16, in_flight=2, spare=1)
    await caller(1)
    second = await held.next()
    await caller(2)
    first.answer()
    await turns(2)
    await caller(3)
    assert held.calls.empty()
    assert (await held.next()).rows == [2, 3]
    assert second.rows == [1]
