"""Which requests go to the model together, in which order, and what each of them gets."""

import asyncio
import contextvars
import gc

import numpy as np
import pytest

from serve_app.core.batching import Batcher, rows_of
from serve_app.errors import InvalidArgument, ModelFailed, Unavailable
from tests.unit.arrays import of_bytes
from tests.unit.held import Callers, Held, result, setup, soon, x


async def test_an_idle_model_gets_a_request_at_once():
    held, _, caller = setup()
    task = await caller(1)
    call = await held.next()
    assert call.rows == [1]
    call.answer()
    assert await result(task) == [10]


async def test_what_comes_while_the_slot_is_busy_goes_together():
    held, _, caller = setup()
    first = await caller(1)
    busy = await held.next()
    later = [await caller(2), await caller(3), await caller(4)]
    assert await held.idle()
    busy.answer()
    call = await held.next()
    assert call.rows == [2, 3, 4]
    call.answer()
    assert [await result(task) for task in [first, *later]] == [[10], [20], [30], [40]]


async def test_batches_hold_no_more_rows_than_allowed_and_keep_the_order():
    held, _, caller = setup(rows=4)
    tasks = [await caller(0)]
    busy = await held.next()
    for values in ([1, 2], [3], [4, 5], [6, 7, 8, 9], [10]):
        tasks.append(await caller(*values))
    busy.answer()
    batches = []
    for _ in range(4):
        call = await held.next()
        batches.append(call.rows)
        call.answer()
    assert batches == [[1, 2, 3], [4, 5], [6, 7, 8, 9], [10]]
    assert await result(tasks[2]) == [30]
    assert await result(tasks[4]) == [60, 70, 80, 90]


async def test_as_many_batches_run_as_there_are_slots():
    held, _, caller = setup(in_flight=2)
    tasks = [await caller(1), await caller(2), await caller(3)]
    first, second = await held.next(), await held.next()
    assert await held.idle()
    second.answer()
    third = await held.next()
    assert (first.rows, second.rows, third.rows) == ([1], [2], [3])
    first.answer()
    third.answer()
    assert [await result(task) for task in tasks] == [[10], [20], [30]]


async def test_max_latency_waits_for_company_until_the_batch_is_full():
    held, _, caller = setup(rows=3, max_latency=3_600_000)
    tasks = [await caller(1), await caller(2)]
    assert await held.idle()
    tasks.append(await caller(3))
    call = await held.next()
    assert call.rows == [1, 2, 3]
    call.answer()
    await asyncio.gather(*tasks)


async def test_max_latency_ends():
    held, _, caller = setup(rows=3, max_latency=1)
    task = await caller(1)
    call = await held.next()
    call.answer()
    assert await result(task) == [10]


async def test_configure_applies_to_what_waits():
    held, batcher, caller = setup(rows=8, max_latency=3_600_000)
    tasks = [await caller(1), await caller(2), await caller(3)]
    assert await held.idle()
    batcher.configure(max_batch_size=2, max_latency=0, in_flight=2)
    first, second = await held.next(), await held.next()
    assert (first.rows, second.rows) == ([1, 2], [3])
    first.answer()
    second.answer()
    assert [await result(task) for task in tasks] == [[10], [20], [30]]


async def test_a_request_queued_before_the_limit_shrank_still_runs_whole():
    held, batcher, caller = setup(rows=8)
    tasks = [await caller(0)]
    busy = await held.next()
    tasks.append(await caller(1, 2, 3))
    batcher.configure(max_batch_size=2, max_latency=0, in_flight=1)
    busy.answer()
    call = await held.next()
    assert call.rows == [1, 2, 3]
    call.answer()
    assert await result(tasks[1]) == [10, 20, 30]


async def test_what_does_not_fit_together_stays_apart():
    held, _, caller = setup(rows=99)
    odd = {"x": np.ones((1, 1), np.float32)}
    requests = [
        (odd, {}),
        ({"x": np.ones((1, 2), np.float32)}, {}),
        ({"x": np.ones((1, 1, 1), np.float32)}, {}),
        ({"x": np.ones((1, 1), np.float64)}, {}),
        ({"x": np.ones((1, 1), np.int32)}, {}),
        ({"x": of_bytes([b"a"], (1, 1))}, {}),
        (odd | {"z": np.ones((1,), np.float32)}, {}),
        (odd, {"t": 1}),
        (odd, {"t": 2}),
        (odd, {"t": True}),
        (odd, {"t": 1.0}),
        (odd, {"t": "1"}),
        (odd, {"t": 1, "u": 1}),
    ]
    block = await caller(0)
    busy = await held.next()
    tasks = [await caller.send(inputs, **parameters) for inputs, parameters in [*requests, *requests]]
    busy.result.set_result({"y": np.zeros((1, 1))})
    for inputs, parameters in requests:  # one batch of two each, the oldest first
        call = await held.next()
        assert call.parameters == parameters
        assert {name: a.shape for name, a in call.inputs.items()} == {
            name: (2, *a.shape[1:]) for name, a in inputs.items()
        }
        assert all(call.inputs[name].dtype == a.dtype for name, a in inputs.items())
        call.result.set_result({"y": np.zeros((2, 1))})
    await asyncio.gather(block, *tasks)
    assert held.calls.empty()


async def test_a_large_request_is_split_and_put_together_again():
    held, _, caller = setup(rows=3)
    task = await caller(1, 2, 3, 4, 5, 6, 7)
    for expected in ([1, 2, 3], [4, 5, 6], [7]):
        call = await held.next()
        assert call.rows == expected
        call.answer()
    assert await result(task) == [10, 20, 30, 40, 50, 60, 70]


@pytest.mark.parametrize("kind", [ModelFailed, InvalidArgument, Unavailable])
async def test_a_large_request_fails_as_one(kind):
    held, _, caller = setup(rows=2)
    task = await caller(1, 2, 3)
    (await held.next()).answer()
    (await held.next()).fail(kind("no threes"))
    with pytest.raises(kind, match="no threes"):
        await task


async def test_a_large_request_that_is_given_up_frees_its_slots():
    held, _, caller = setup(rows=1)
    task = await caller(1, 2, 3)
    call = await held.next()
    task.cancel()
    await soon(call.cancelled.wait())
    follower = await caller(4)
    last = await held.next()
    assert last.rows == [4]
    last.answer()
    assert await result(follower) == [40]


@pytest.mark.parametrize("cut", [0, 1, 2])
async def test_a_large_request_is_never_answered_without_a_piece_that_was_cancelled(cut):
    held, _, caller = setup(rows=2)
    task = await caller(1, 2, 3, 4, 5, 6)
    for number in range(3):
        call = await held.next()
        if number == cut:
            call.result.cancel()
        else:
            call.answer()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)


async def test_zero_rows_are_a_request_too():
    held, _, caller = setup()
    task = await caller()
    call = await held.next()
    assert call.inputs["x"].shape == (0, 1)
    call.answer()
    assert (await task)["y"].shape == (0, 1)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": np.array(1.0)}, r"'x'.*\[rows, \.\.\.\], got \[\]"),
        ({"x": np.ones((2, 1)), "z": np.ones(3)}, "'z'.*must be 2.*got 3"),
    ],
)
async def test_inputs_without_common_rows(inputs, message):
    held, batcher, _ = setup()
    with pytest.raises(InvalidArgument, match=message):
        await batcher.submit(inputs, {})
    assert held.calls.empty()
    assert rows_of({}) == 0


async def test_a_batch_belongs_to_no_callers_context_and_who_is_alone_keeps_its_own():
    caller_of = contextvars.ContextVar("caller_of", default="nobody")
    seen = []

    async def execute(inputs, parameters):
        seen.append((len(inputs["x"]), caller_of.get()))
        await asyncio.sleep(0.01)
        return inputs

    caller_of.set("somebody")
    batcher = Batcher(execute, 4)
    await asyncio.gather(*(batcher.submit(x(value), {}) for value in range(3)))
    assert seen == [(1, "somebody"), (2, "nobody")]


async def test_batches_leave_nothing_to_the_garbage_collector():
    async def execute(inputs, parameters):
        await asyncio.sleep(0)
        return inputs

    batcher = Batcher(execute, 4)

    async def batches(count: int) -> None:
        for _ in range(count):
            await asyncio.gather(*(batcher.submit(x(value), {}) for value in range(4)))

    await batches(2)
    gc.collect()
    gc.disable()
    try:
        found = []
        for _ in range(3):  # other tests' leftovers may be among the first
            await batches(10)
            found.append(gc.collect())
        assert min(found) < 10  # objects that hold each other: not one for each batch
    finally:
        gc.enable()


async def test_close_refuses_what_waits_and_what_comes_and_lets_the_rest_finish():
    held, batcher, caller = setup()
    running = await caller(1)
    call = await held.next()
    waiting = await caller(2)
    batcher.close()
    with pytest.raises(Unavailable, match="removed"):
        await waiting
    with pytest.raises(Unavailable, match="removed"):
        await batcher.submit(x(3), {})
    call.answer()
    assert await result(running) == [10]
    assert await held.idle()


async def test_observed_are_rows_requests_and_batches():
    held, seen = Held(), []
    batcher = Batcher(held, 8, observe=lambda *about: seen.append(about))
    caller = Callers(batcher)
    tasks = [await caller(0)]
    busy = await held.next()
    tasks += [await caller(1, 2), await caller(3)]
    busy.answer()
    (await held.next()).answer()
    await asyncio.gather(*tasks)
    assert [(rows, requests) for rows, requests, *_ in seen] == [(1, 1), (3, 2)]
    assert all(min(times) >= 0 for _, _, *times in seen)  # queued, computing, before, after
