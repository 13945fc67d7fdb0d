"""Work in threads of its own, which are used again."""

import asyncio
import threading
import weakref

import pytest

from serve_app.runtimes import in_thread as module
from serve_app.runtimes.in_thread import in_thread, where
from tests.unit.waiting import until


async def test_the_next_work_has_the_thread_of_the_one_before():
    first, thread = in_thread(threading.get_ident, "one")
    ident = await first
    await until(lambda: thread in module._KEPT)  # it says so after its answer
    second, again = in_thread(threading.get_ident, "two")
    assert (await second, again.name, again.daemon) == (ident, "two", True)


async def test_one_that_never_comes_back_is_nobodys_trouble():
    gate = threading.Event()
    hanging, thread = in_thread(lambda: gate.wait(20), "hangs")
    other, another = in_thread(lambda: 7, "other")
    assert (await other, another is thread) == (7, False)
    await until(lambda: "gate.wait" in where(thread))
    gate.set()
    assert await hanging


async def test_what_it_raises_is_the_callers():
    def work() -> None:
        raise SystemExit("no")

    done, thread = in_thread(work, "fails")
    with pytest.raises(SystemExit, match="no"):
        await done
    await until(lambda: thread in module._KEPT)
    assert thread.is_alive()


async def test_a_thread_that_waits_keeps_nothing_of_its_work():
    class Work:
        def __call__(self) -> int:
            return 1

    work = Work()
    gone = weakref.ref(work)
    done, _ = in_thread(work, "works")
    del work
    assert await done == 1
    del done
    await until(lambda: gone() is None)


async def test_a_thread_that_nobody_needs_ends(monkeypatch):
    monkeypatch.setattr(module, "_KEPT_S", 0.01)
    work, thread = in_thread(lambda: 1, "short")
    assert await work == 1
    await asyncio.to_thread(thread.join, 20)
    assert thread not in module._KEPT
