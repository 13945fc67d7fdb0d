"""Rollouts beside what else happens: other Stewards, other rollouts, changes, versions that go away."""

import asyncio

import pytest

from serve_app.errors import InvalidArgument
from serve_app.releases import rollouts as module
from serve_app.releases.change import TRAFFIC
from serve_app.releases.live import LiveTraffic
from serve_app.releases.rolling import CONFIGURATION
from serve_app.releases.rollout import Counts, Evidence
from tests.unit.releases.stewarded import World, begun, change
from tests.unit.releases.test_rollouts import BAD, FINE, SAID, phase, report, shares, start

LONG = {**SAID, "steps": [{"weight": 10, "requests": 100_000}]}
SOME = Evidence(Counts(10, 0, {0: 10}), Counts(10, 0, {0: 10}))


@pytest.fixture
def world() -> World:
    return World()


async def test_two_stewards_of_one_place_take_each_other_s_decisions(world, monkeypatch):
    """As while KubeRay switches from one cluster to another."""
    one, other = world.steward(), world.steward()
    await start(one, LONG)
    await report(one)
    await other.look()
    await report(other, SOME)  # it knows more than is kept, now
    await report(one, BAD)
    assert await phase(one) == "rolledBack"
    monkeypatch.setattr(module, "KEEP_S", 0.0)
    await report(other, SOME)
    await other.look()
    assert (await phase(other), shares(other)) == ("rolledBack", {"2": 0, "1": 100})
    await one.look()
    assert (await phase(one), shares(one)) == ("rolledBack", {"2": 0, "1": 100})


async def test_one_by_hand_between_does_not_begin_the_configuration_s_again(world):
    steward = world.steward()
    await start(steward, by=CONFIGURATION)
    await report(steward)
    await report(steward, BAD)
    await start(steward, {**SAID, "version": "3"}, by="ann")
    await steward.rollouts.act("m", "promote", "ann")
    await start(steward, by=CONFIGURATION)  # as a Router says that starts anew
    assert (await phase(steward), shares(steward)) == ("promoted", {"3": 100, "1": 0})


async def test_what_is_asked_twice_is_done_once(world):
    steward = world.steward()
    for _ in range(2):
        await steward.rollouts.begin("m", SAID, "1", "", None, "ann", id="r1")
    for _ in range(2):
        await steward.rollouts.act("m", "promote", "ann", id="a1")
    assert [line["verb"] for line in world.lines] == ["rollout start", "rollout promote"]


async def test_none_begins_while_a_change_of_its_model_is_under_way(world):
    steward = world.steward()
    wanted = change(None, verb=TRAFFIC, shares=LiveTraffic("", {"weights": {"1": 100}}))
    task = await begun(steward, wanted)
    with pytest.raises(InvalidArgument, match="a change of 'm' is under way"):
        await start(steward)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("evidence", [FINE, None])
async def test_without_one_of_its_versions_nothing_is_promoted(world, evidence):
    steward = world.steward()
    await start(steward)
    await report(steward)
    await report(steward, evidence, ready=False)
    await report(steward, evidence, ready=False)
    assert (await phase(steward), shares(steward)) == ("running", {"2": 10, "1": 90})
    await report(steward, BAD, ready=False)
    assert await phase(steward) == "rolledBack"


async def test_a_version_that_never_comes_back_is_rolled_back(world):
    steward = world.steward()
    await start(steward, {**LONG, "maxDuration": 0.05})
    await report(steward)
    await asyncio.sleep(0.06)
    await report(steward, ready=False)
    assert await phase(steward) == "rolledBack"


async def test_a_query_that_takes_long_holds_up_nobody_and_decides_nothing_old(world, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    steward = world.steward()
    answer = asyncio.Event()

    async def query(address: str, text: str) -> float:
        await answer.wait()
        return 1.0

    steward.rollouts._query = query
    metric = {
        "kind": "prometheus", "address": "http://p", "query": 'f{v="{{version}}"}',
        "relativeMargin": 0.1, "interval": 0.01,
    }  # fmt: skip
    await start(steward, {**LONG, "metrics": [metric]})
    await start(steward, model="n")
    for model in "mn":
        await report(steward, model=model)
    await report(steward)
    await asyncio.sleep(0.02)
    await report(steward)  # asks, and waits
    await report(steward, BAD, model="n")
    assert await phase(steward, "n") == "rolledBack"
    await steward.rollouts.act("m", "abort", "ann")
    await steward.redirect("m", "")
    answer.set()
    await steward.rollouts.look()
    await asyncio.sleep(0.01)
    assert await phase(steward) == "aborted"
    assert "m" not in steward.state.shares


async def test_the_reason_of_an_end_stands_with_the_rollout(world):
    steward = world.steward()
    await start(steward, by=CONFIGURATION)
    await steward.rollouts.configured({})
    (record,) = steward.rollouts.of("m").records[-1:]
    assert record["why"] == "it no longer stands in the configuration"


async def ended(steward, model):
    await start(steward, model=model)
    await steward.rollouts.act(model, "promote", "ann")


async def test_what_is_over_of_a_model_that_is_gone_is_forgotten(world, monkeypatch):
    steward = world.steward()
    for model in ("gone", "there"):
        await ended(steward, model)
    await start(steward, model="goes-on")
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    await steward.rollouts.known(["there"])
    clock[0] += module.GONE_S - 1
    await steward.rollouts.known(["there", "gone"])  # a deploy had taken it away, and brought it back
    clock[0] += 2
    await steward.rollouts.known(["there"])
    assert set(steward.rollouts.all()) == {"gone", "there", "goes-on"}
    before = steward.state.generation
    clock[0] += module.GONE_S
    await steward.rollouts.known(["there"])
    assert set(steward.rollouts.all()) == set(steward.state.rollouts) == {"there", "goes-on"}
    assert set(steward.state.shares) == {"there", "goes-on"}
    assert steward.state.generation == before + 1
    assert (steward.state.audit[-1]["verb"], steward.state.audit[-1]["model"]) == ("forget", "gone")
    again = world.steward()
    assert set(again.rollouts.all()) == {"there", "goes-on"}
