"""A model's threads, and those of them that never come back."""

import asyncio
import gc
import threading
import time
import weakref

import numpy as np
import pytest

from serve_app.errors import Unavailable
from serve_app.runtimes.threads import ABANDONED, Threads
from tests.unit.held import soon

SHORT = 0.05


@pytest.fixture
def gate():
    opened = threading.Event()
    yield opened
    opened.set()


def run(pool, work, *args):
    return asyncio.create_task(pool.run(work, *args))


async def left(pool, gate):
    """A call that hangs, and that nobody waits for any more."""
    began = threading.Event()
    call = run(pool, lambda: (began.set(), gate.wait()))
    await asyncio.to_thread(began.wait, 10)
    call.cancel()


async def until(true):
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - of threads, which set no event here
            await asyncio.sleep(0.005)


async def test_calls_run_as_many_at_once_as_there_are_threads():
    pool = Threads(2, "m", 60)
    both = threading.Barrier(2, timeout=10)
    assert sorted(await soon(asyncio.gather(run(pool, both.wait), run(pool, both.wait)))) == [0, 1]
    names = [await run(pool, lambda: threading.current_thread().name) for _ in range(20)]
    assert set(names) <= {"model-m_0", "model-m_1"}
    pool.shutdown()
    with pytest.raises(RuntimeError, match="ended"):
        await run(pool, print)


async def test_a_thread_that_had_much_to_do_doesnt_count_as_several_idle_ones():
    pool = Threads(2, "m", 60)
    await soon(asyncio.gather(*(run(pool, time.sleep, 0.001) for _ in range(20))))
    for _ in range(5):
        both = threading.Barrier(2, timeout=10)
        await soon(asyncio.gather(run(pool, both.wait), run(pool, both.wait)))
    pool.shutdown()


async def test_what_is_raised_comes_out():
    pool = Threads(1, "m", 60)
    with pytest.raises(ZeroDivisionError):
        await run(pool, lambda: 1 / 0)
    assert await run(pool, lambda: 3) == 3
    pool.shutdown()


async def test_what_waits_behind_one_that_hangs_is_answered_by_another_thread(gate, caplog):
    before, told = ABANDONED["hangs"], []
    pool = Threads(1, "hangs", SHORT, may_lose=1, on_trouble=told.append)
    await left(pool, gate)
    assert await soon(run(pool, lambda: 5)) == 5  # it waited in the queue
    assert ABANDONED["hangs"] == before + 1
    assert told == [""]
    assert "model 'hangs' hangs" in caplog.text
    assert "gate.wait()" in caplog.text  # where
    assert await soon(run(pool, lambda: 6)) == 6
    gate.set()
    await until(lambda: "that hung has ended" in caplog.text)
    assert await soon(run(pool, lambda: 7)) == 7
    pool.shutdown()


async def test_too_many_that_hang_make_it_unavailable_until_one_ends(gate):
    told = []
    pool = Threads(1, "m", SHORT, may_lose=1, on_trouble=told.append)
    await left(pool, gate)
    await until(lambda: told == [""])
    await left(pool, gate)
    waits = run(pool, lambda: 1)
    with pytest.raises(Unavailable, match="2 of its predictions hang"):
        await soon(waits)
    with pytest.raises(Unavailable, match="2 of its predictions hang"):
        await soon(run(pool, lambda: 1))
    assert told == ["", pool.trouble]
    gate.set()
    await until(lambda: told[-1] == "")
    assert await soon(run(pool, lambda: 2)) == 2
    pool.shutdown()


async def test_a_slow_one_that_somebody_waits_for_does_not_hang(gate):
    pool = Threads(1, "m", SHORT)
    slow = run(pool, gate.wait)
    await asyncio.sleep(4 * SHORT)
    assert pool.trouble == ""
    gate.set()
    assert await soon(slow)
    pool.shutdown()


async def test_one_that_was_left_and_ends_in_time_does_not_hang(gate):
    pool = Threads(1, "m", 4 * SHORT)
    await left(pool, gate)
    gate.set()
    assert await soon(run(pool, lambda: 1)) == 1
    await asyncio.sleep(6 * SHORT)
    assert pool.trouble == ""
    pool.shutdown()


async def test_one_that_waits_and_is_left_never_runs(gate):
    pool = Threads(1, "m", 60)
    first = run(pool, gate.wait)
    ran = []
    second = run(pool, ran.append, 1)
    second.cancel()
    await asyncio.sleep(0.01)  # the pool hears of it in a turn of the loop
    gate.set()
    await soon(first)
    await soon(run(pool, lambda: None))
    assert ran == []
    pool.shutdown()


async def test_the_end_does_not_wait_for_one_that_hangs(gate):
    pool = Threads(2, "m", SHORT)
    await left(pool, gate)
    await soon(asyncio.to_thread(pool.shutdown))
    assert not gate.is_set()


async def test_the_end_waits_for_what_somebody_waits_for(gate):
    pool = Threads(1, "m", SHORT)
    call = run(pool, gate.wait)
    end = asyncio.create_task(asyncio.to_thread(pool.shutdown))
    await asyncio.sleep(4 * SHORT)
    assert not end.done()
    gate.set()
    assert await soon(call)
    await soon(end)


async def test_nothing_is_kept_of_what_was_computed(gate):
    pool = Threads(1, "m", 60)

    def compute():
        gate.wait(0.2)
        made = np.zeros(3)
        seen.append(weakref.ref(made))
        return made

    seen: list = []
    await soon(run(pool, compute))
    call = run(pool, compute)
    await asyncio.to_thread(time.sleep, 0.05)
    call.cancel()
    await asyncio.sleep(0)
    del call
    await soon(run(pool, int))
    await asyncio.sleep(0)
    gc.collect()
    assert [one() for one in seen] == [None, None]
    pool.shutdown()


class Owner:
    """Of a method that runs until the gate opens."""

    def __init__(self, gate: threading.Event) -> None:
        self.gate, self.began = gate, threading.Event()

    def waits(self) -> None:
        self.began.set()
        self.gate.wait(20)


async def test_it_is_waited_for_what_one_runs_and_not_for_others(gate):
    pool = Threads(2, "m", 60)
    one, other = Owner(threading.Event()), Owner(gate)
    calls = [run(pool, one.waits), run(pool, other.waits)]
    await asyncio.to_thread(one.began.wait, 10)
    calls[0].cancel()  # nobody waits for it any more, and it runs
    waiting = asyncio.create_task(asyncio.to_thread(pool.wait_for, one))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    one.gate.set()
    await soon(waiting)
    gate.set()
    await soon(calls[1])
    pool.shutdown()


async def test_it_is_not_waited_for_what_hangs(gate):
    pool = Threads(1, "m", SHORT, may_lose=3)
    owner = Owner(gate)
    call = run(pool, owner.waits)
    await asyncio.to_thread(owner.began.wait, 10)
    call.cancel()
    await soon(asyncio.to_thread(pool.wait_for, owner))
    gate.set()
    pool.shutdown()


async def test_they_end_with_the_last_version_that_runs_there():
    pool = Threads(1, "m", 60)
    assert pool.hold()
    assert pool.hold()
    pool.release()
    assert await soon(run(pool, lambda: 1)) == 1
    pool.release()
    assert not pool.hold()
    with pytest.raises(RuntimeError, match="have ended"):
        await run(pool, lambda: 1)
