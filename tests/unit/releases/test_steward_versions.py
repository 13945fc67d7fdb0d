"""A change of which versions fail: what was asked for decides."""

import asyncio

import pytest

from serve_app.errors import InvalidArgument
from serve_app.releases.judged import Ack, Failed
from tests.unit.releases.stewarded import NEW, OFF, begun, change
from tests.unit.waiting import until

THIRD = {"m": Failed({"3": "version 3 is broken"}, ["1", "2"])}


async def test_a_load_of_one_version_is_answered_by_that_version_alone(world):
    steward = world.steward()
    task = await begun(steward, change(NEW, verb="load", version="2"))
    await steward.serves("r1", Ack(1, THIRD))
    await task
    task = await begun(steward, change(OFF, id="j", verb="load", version="3"))
    await steward.serves("r1", Ack(2, THIRD))
    await until(lambda: steward.state.generation == 3)
    await steward.serves("r1", Ack(3, THIRD))
    with pytest.raises(InvalidArgument, match=r"failed to load 'm': version 3 is broken \(Router r1\)"):
        await task
    assert steward.state.layer == {"m": NEW}  # as before it


async def test_without_a_version_what_isnt_served_is_named_and_the_rest_stays(world):
    """As configured: a model that was unloaded comes back, as it would at a start."""
    steward = world.steward()
    task = await begun(steward, change(OFF))
    await steward.serves("r1", Ack(1, THIRD))  # nothing that an unload asked for
    await task
    task = await begun(steward, change(None, id="j", verb="load"))
    await steward.serves("r1", Ack(2, THIRD))
    with pytest.raises(InvalidArgument, match=r"version 3 is broken; served: version 1, 2"):
        await task
    assert (steward.state.layer, steward.state.generation) == ({}, 2)


async def test_of_what_a_request_brought_nothing_stays_where_a_version_fails(world):
    steward = world.steward()
    task = await begun(steward, change(NEW, verb="load"))
    await steward.serves("r1", Ack(1, THIRD))
    await until(lambda: steward.state.generation == 2)
    await steward.serves("r1", Ack(2))
    with pytest.raises(InvalidArgument, match="version 3 is broken"):
        await task
    assert steward.state.layer == {}


async def test_the_next_steward_knows_which_version_was_asked_for(world):
    task = await begun(world.steward(), change(NEW, verb="load", version="2"))
    task.cancel()
    second = world.steward()
    resumed = asyncio.create_task(second.resume())
    await second.serves("r1", Ack(1, THIRD))
    await resumed
    assert second.state.audit[0]["outcome"] == "served"
