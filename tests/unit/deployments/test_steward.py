"""What Routers ask the Steward for."""

import asyncio
import threading

import pytest

from serve_app.deployments.steward import _outcome
from serve_app.releases.judged import Ack
from serve_app.releases.ledger import decoded
from serve_app.releases.store import STATE
from tests.unit.releases.stewarded import World, begun, change
from tests.unit.releases.test_rollouts import start
from tests.unit.waiting import until


def slow(world: World, number: int) -> tuple[threading.Event, threading.Event]:
    """When that write has begun, and to let it go on."""
    put, went, go_on, writes = world.store.put, threading.Event(), threading.Event(), []

    def slowly(name, data):
        writes.append(name)
        if len(writes) == number:
            went.set()
            assert go_on.wait(5)
        put(name, data)

    world.store.put = slowly
    return went, go_on


async def test_a_change_is_seen_through_when_the_router_that_asked_ends():
    world = World()
    steward = world.steward()
    asked = asyncio.create_task(_outcome(steward.change(change())))
    await until(lambda: steward.state.under_way)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await steward.serves("r1", Ack(1))
    await until(lambda: not steward.state.under_way)
    assert steward.state.audit[0]["outcome"] == "served"


async def test_nothing_is_written_after_what_came_later():
    """A Router that ends takes back what it asked while that is being written."""
    world = World()
    steward = world.steward()
    task = await begun(steward)
    await steward.serves("r1", Ack(1))
    await task
    went, go_on = slow(world, 1)
    dropping = asyncio.create_task(_outcome(steward.drop("m", {"": "x"})))
    await until(went.is_set)
    dropping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropping
    task = asyncio.create_task(steward.change(change(id="j", model="other")))
    await asyncio.sleep(0.05)
    go_on.set()
    await until(lambda: "other" in steward.state.under_way)
    await steward.serves("r1", Ack(steward.state.generation))
    await task
    kept = decoded(world.store.get(STATE))
    assert kept.layer.keys() == steward.state.layer.keys() == {"other"}
    assert "drop" in [line["verb"] for line in world.lines]


@pytest.mark.parametrize("write", [1, 2])
async def test_traffic_that_a_deploy_took_back_ends_its_rollout(write):
    """Also where the Router ends that tells of it, whatever is being written just then."""
    world = World()
    steward = world.steward()
    await start(steward, over="before")
    went, go_on = slow(world, write)
    telling = asyncio.create_task(_outcome(steward.redirect("m", "before")))
    await until(went.is_set)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    go_on.set()
    await until(lambda: world.lines[-1]["outcome"] == "a deploy changed its traffic")
    await until(lambda: steward.rollouts.of("m").state.phase == "aborted")
