"""What a batcher hands to a model that still computes: full batches, or any to a quick one."""

from tests.unit.core.clock import after, still
from tests.unit.held import result


async def test_a_slow_model_takes_only_a_full_batch_in_advance(clock):
    held, batcher, caller, busy = await after(clock, 0.03, rows=3, in_flight=2, spare=1)
    await caller(1)
    await caller(2)
    clock.now += 60
    assert await still(held)
    assert batcher._timer is None  # the end of the running batch is what it waits for
    await caller(3)
    full = await held.next()
    assert full.rows == [1, 2, 3]
    task = await caller(4)
    busy.answer()
    assert await held.idle()  # the one in advance is the one it computes now
    full.answer()
    assert await still(held)  # for up to 20 ms
    clock.now += 0.02
    call = await held.next()
    assert call.rows == [4]
    call.answer()
    assert await result(task) == [40]


async def test_a_partial_batch_goes_when_the_model_is_free(clock):
    held, _, caller, busy = await after(clock, 0.03, in_flight=2, spare=1)
    task = await caller(1)
    assert await held.idle()
    busy.answer()
    (await held.next()).answer()
    assert await result(task) == [10]


async def test_a_quick_model_takes_any_batch_in_advance(clock):
    held, _, caller, _ = await after(clock, 0.019, in_flight=2, spare=1)
    await caller(1)
    assert (await held.next()).rows == [1]
    await caller(2)
    assert await held.idle()


async def test_only_the_spare_slots_ask_for_full_batches(clock):
    held, _, caller, _ = await after(clock, 1, rows=2, in_flight=4, spare=2)
    await caller(1)
    assert (await held.next()).rows == [1]
    await caller(2)
    assert await held.idle()
    await caller(3)
    assert (await held.next()).rows == [2, 3]
    await caller(4, 5)
    assert (await held.next()).rows == [4, 5]
    await caller(6, 7)
    assert await held.idle()


async def test_without_spare_slots_a_slow_model_is_given_what_there_is(clock):
    held, _, caller, _ = await after(clock, 1, in_flight=2)
    await caller(1)
    assert (await held.next()).rows == [1]


async def test_configure_changes_what_is_spare(clock):
    held, batcher, caller, _ = await after(clock, 1, in_flight=2, spare=1)
    await caller(1)
    assert await held.idle()
    batcher.configure(max_batch_size=4, max_latency=0, in_flight=3, spare=1)
    assert (await held.next()).rows == [1]
    await caller(2)
    assert await held.idle()
    batcher.configure(max_batch_size=4, max_latency=0, in_flight=3)
    assert (await held.next()).rows == [2]
    await caller(3)
    batcher.configure(max_batch_size=1, max_latency=0, in_flight=4, spare=1)
    assert (await held.next()).rows == [3]  # full now


async def test_batches_in_advance_wait_for_company_like_others(clock):
    held, batcher, caller, busy = await after(clock, 1, rows=2, in_flight=2, spare=1)
    batcher.configure(max_batch_size=2, max_latency=50, in_flight=2, spare=1)
    await caller(1)
    busy.answer()
    clock.now += 0.049
    assert await still(held)
    clock.now += 0.001
    assert (await held.next()).rows == [1]
