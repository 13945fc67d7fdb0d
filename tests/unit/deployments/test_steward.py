"""What Routers ask the Steward for."""

import asyncio

import pytest

from serve_app.deployments.steward import _outcome
from serve_app.releases.judged import Ack
from tests.unit.releases.stewarded import World, change
from tests.unit.waiting import until


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
