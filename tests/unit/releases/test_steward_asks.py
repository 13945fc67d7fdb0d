"""What Routers say while Serve is asked which of them there are."""

import asyncio

from serve_app.releases import steward as module
from serve_app.releases.judged import Ack, Failed
from tests.unit.releases.stewarded import begun
from tests.unit.waiting import until


async def test_what_a_router_says_while_serve_is_asked_is_heard(world, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 60)
    world.routers = {"r1", "r2"}
    steward = world.steward()
    ask, said = steward._wanted, asyncio.Event()

    async def wanted():
        found = await ask()
        if not said.is_set():  # as soon as Serve has answered
            said.set()
            for router in ("r1", "r2"):
                asyncio.get_running_loop().call_soon(tell, router)
        return found

    def tell(router):
        tasks.append(asyncio.create_task(steward.serves(router, Ack(1))))

    tasks: list[asyncio.Task] = []
    monkeypatch.setattr(steward, "_wanted", wanted)
    async with asyncio.timeout(5):
        await (await begun(steward))
    await asyncio.gather(*tasks)


async def test_one_that_came_while_serve_was_asked_is(world, monkeypatch):
    steward = world.steward()
    ask, looks = steward._wanted, []

    async def wanted():
        looks.append(found := await ask())
        if "r2" not in world.routers:  # since Serve was asked
            world.routers.add("r2")
            await steward.serves("r1", Ack(1))
        return found

    monkeypatch.setattr(steward, "_wanted", wanted)
    task = await begun(steward)
    await until(lambda: ["r1", "r2"] in looks)
    assert not task.done()
    await steward.serves("r2", Ack(1))
    await task


async def test_routers_that_never_fall_silent_keep_nobody_waiting(world, monkeypatch):
    """There may be so many that one says something whenever Serve is asked."""
    steward = world.steward(timeout=60)
    ask = steward._wanted

    async def wanted():
        found = await ask()
        await steward.serves("r1", Ack(1))
        return found

    monkeypatch.setattr(steward, "_wanted", wanted)
    async with asyncio.timeout(5):
        await (await begun(steward))


async def test_what_came_while_serve_took_too_long_counts(world, monkeypatch):
    """A controller that comes back answers late: meanwhile all Routers have said that they serve it."""
    steward = world.steward(timeout=0)
    ask, said = steward._wanted, asyncio.Event()

    async def wanted():
        await said.wait()
        return await ask()

    monkeypatch.setattr(steward, "_wanted", wanted)
    task = await begun(steward)
    await steward.serves("r1", Ack(1))
    said.set()
    await task


async def test_a_router_that_served_after_all_while_serve_was_asked(world, monkeypatch):
    """What it couldn't load a moment ago is no reason any more."""
    world.routers = {"r1", "r2"}
    steward = world.steward()
    ask, looks = steward._wanted, []

    async def wanted():
        looks.append(steward.acks.get("r1"))
        if looks[-1]:
            await steward.serves("r1", Ack(1))
            await steward.serves("r2", Ack(1))
        return await ask()

    monkeypatch.setattr(steward, "_wanted", wanted)
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    task = await begun(steward)
    await steward.serves("r1", Ack(1, {"m": Failed({"": "no room"})}))
    await task
