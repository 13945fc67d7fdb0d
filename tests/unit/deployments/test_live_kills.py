"""Killed at each step of a load, the Steward or a Router: afterwards all serve it, or all what was
before, nothing is half done, and whoever asked was answered rightly."""

import asyncio

import pytest

from serve_app.deployments import live as live_module
from serve_app.errors import InvalidArgument, TandemError
from serve_app.releases.ledger import decoded
from serve_app.releases.store import STATE
from tests.unit.deployments.conducted import double, failing
from tests.unit.waiting import until

LOADS = {"good": {"options": {"by": 7}}, "bad": {"class": failing()["class"]}}


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("written", [1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_steward_at_each_of_its_writes(world, load, written, when):
    routers = [world("r1"), world("r2")]
    for router in routers:
        await router.start(double("a"))
    handle, loop, count = world.handle, asyncio.get_running_loop(), 0
    put = handle.store.put

    def counted(name, data):
        nonlocal count
        count += 1
        if count != written:
            return put(name, data)
        if when == "after":
            put(name, data)
        loop.call_soon_threadsafe(handle.kill)
        if when == "before":
            raise OSError("killed before it was written")

    handle.store.put = counted
    asked = asyncio.create_task(routers[0].do("load", "a", config=LOADS[load]))
    await until(lambda: not handle.alive)
    assert all(router.serves("a") in (2, 7) for router in routers)  # always a working version
    handle.start()
    resumed = asyncio.create_task(handle.holder.resume())
    if load == "good":
        await asked
        assert [router.serves("a") for router in routers] == [7, 7]  # when it is answered
    else:
        with pytest.raises(InvalidArgument):
            await asked
    await resumed
    wanted = 7 if load == "good" else 2
    await until(lambda: [router.serves("a") for router in routers] == [wanted] * 2)
    check(handle, load)
    assert [line["verb"] for line in handle.holder.state.audit] == ["load"]  # once


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("step", ["_fetch", "_taken", "_look_again", "ack"])
async def test_a_router_at_each_of_its_steps(world, monkeypatch, load, step):
    one, two = world("r1"), world("r2")
    for router in (one, two):
        await router.start(double("a"))
    real, died = getattr(live_module.LiveChanges, step), asyncio.Event()

    def dies(self, *arguments):
        if self is two.live and world.handle.holder.state.generation:
            died.set()
            world.handle.routers.discard("r2")
            raise asyncio.CancelledError
        return real(self, *arguments)

    monkeypatch.setattr(live_module.LiveChanges, step, dies)
    asked = asyncio.create_task(one.do("load", "a", config=LOADS[load]))
    async with asyncio.timeout(10):
        await died.wait()
    three = world("r3")  # Serve starts another
    await three.start(double("a"))
    result = (await asyncio.gather(asked, return_exceptions=True))[0]
    assert (result is None) if load == "good" else isinstance(result, TandemError)
    wanted = 7 if load == "good" else 2
    await until(lambda: [router.serves("a") for router in (one, three)] == [wanted] * 2)
    check(world.handle, load)


def check(handle, load) -> None:
    """Nothing is under way, and what is kept is what holds."""
    kept = decoded(handle.store.data[STATE])
    assert kept == handle.holder.state
    assert kept.under_way == {}
    assert set(kept.layer) == ({"a"} if load == "good" else set())
