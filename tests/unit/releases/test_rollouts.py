"""Rollouts that a Steward holds: what Routers report, what is decided, what is kept over its death."""

import asyncio

import pytest

from serve_app.errors import InvalidArgument, NotFound
from serve_app.releases import rollouts as module
from serve_app.releases.change import TRAFFIC
from serve_app.releases.live import LiveTraffic
from serve_app.releases.rolling import CONFIGURATION, followed
from serve_app.releases.rollout import Counts, Evidence
from tests.unit.releases.stewarded import World, change

METRICS = [{"kind": "errorRate", "margin": 0.01}]
SAID = {"version": "2", "steps": [{"weight": 10, "requests": 1}], "metrics": METRICS}
FINE = Evidence(Counts(2000, 4, {0: 1996}), Counts(2000, 4, {0: 1996}))
BAD = Evidence(Counts(300, 60, {0: 240}), Counts(2000, 4, {0: 1996}))


@pytest.fixture
def world() -> World:
    return World()


async def start(steward, said=SAID, model="m", by="ann", before=None, over="") -> str:
    await steward.rollouts.begin(model, said, "1", over, before, by)
    return steward.rollouts.of(model).state.id


async def report(steward, evidence=None, id="", ready=True, router="r1", model="m") -> None:
    id = id or steward.rollouts.of(model).state.id
    said = {"id": id, "evidence": (evidence or Evidence()).plain, "ready": ready}
    steward.rollouts.hear(router, {model: said})
    await steward.rollouts.look()


def shares(steward, model="m") -> dict[str, float]:
    return steward.state.shares[model].config["weights"]


async def phase(steward, model="m") -> str:
    return steward.rollouts.of(model).state.phase


async def test_a_rollout_gives_its_version_nothing_until_every_router_has_it(world):
    steward = world.steward()
    await start(steward)
    assert (shares(steward), steward.state.generation) == ({"2": 0, "1": 100}, 1)
    await report(steward, ready=False)
    await report(steward, ready=True, router="r2")
    assert await phase(steward) == "pending"
    await report(steward, ready=True)
    assert (await phase(steward), shares(steward)) == ("running", {"2": 10, "1": 90})


async def test_a_good_one_is_promoted_and_its_shares_stay(world):
    steward = world.steward()
    await start(steward)
    await report(steward)
    while await phase(steward) == "running":
        await report(steward, FINE)
    assert (await phase(steward), shares(steward)) == ("promoted", {"2": 100, "1": 0})
    assert [line["verb"] for line in world.lines] == ["rollout start", "rollout step", "rollout promote"]
    assert world.lines[0]["by"] == "ann"
    assert [one["what"] for one in steward.rollouts.of("m").records] == ["start", "step", "promote"]
    assert [line["verb"] for line in steward.state.audit] == [line["verb"] for line in world.lines]


async def test_a_bad_one_is_rolled_back(world):
    steward = world.steward()
    await start(steward)
    await report(steward)
    await report(steward, BAD)
    assert (await phase(steward), shares(steward)) == ("rolledBack", {"2": 0, "1": 100})
    assert "version 2 failed 60 of 300" in world.lines[-1]["outcome"]
    summary = steward.rollouts.of("m").summary
    assert summary["counts"]["2"]["errors"] == 60
    assert summary["evidence"]["rollback"] >= summary["needed"]["rollback"]


async def test_what_routers_say_is_added_up(world):
    steward = world.steward()
    id = await start(steward)
    await report(steward)
    for router in ("r1", "r2"):
        steward.rollouts.hear(router, {"m": {"id": id, "evidence": FINE.plain, "ready": True}})
    await steward.rollouts.look()
    assert steward.rollouts.of("m").state.total.canary.requests == 4000


@pytest.mark.parametrize("model", ["m", "other"])
async def test_what_is_said_of_another_rollout_counts_for_nothing(world, model):
    steward = world.steward()
    id = await start(steward)
    await report(steward)
    said = {"id": "before" if model == "m" else id, "evidence": BAD.plain, "ready": True}
    steward.rollouts.hear("r1", {model: said})
    await steward.rollouts.look()
    assert steward.rollouts.of("m").state.total == Evidence()


async def test_a_steward_that_is_killed_goes_on_where_it_was(world, monkeypatch):
    monkeypatch.setattr(module, "KEEP_S", 0.0)
    first = world.steward()
    await start(first)
    await report(first)
    await report(first, FINE)
    second = world.steward()
    assert second.rollouts.of("m") == first.rollouts.of("m")
    while await phase(second) == "running":
        await report(second, FINE)
    assert await phase(second) == "promoted"
    third = world.steward()
    assert (await phase(third), shares(third)) == ("promoted", {"2": 100, "1": 0})


async def test_evidence_is_not_written_at_each_look(world):
    steward = world.steward()
    await start(steward, {**SAID, "steps": [{"weight": 10, "requests": 1000}]})
    await report(steward)
    before = dict(world.store.data)
    await report(steward, Evidence(Counts(10, 0, {0: 10}), Counts(10, 0, {0: 10})))
    assert dict(world.store.data) == before
    assert steward.rollouts.of("m").state.total.canary.requests == 10


async def test_a_decision_that_cannot_be_kept_is_taken_when_it_can(world):
    steward = world.steward()
    await start(steward)
    await report(steward)
    world.store.away = True
    with pytest.raises(Exception, match="can't be kept"):
        await report(steward, BAD)
    assert (await phase(steward), shares(steward)) == ("running", {"2": 10, "1": 90})
    world.store.away = False
    await steward.rollouts.look()
    assert (await phase(steward), shares(steward)) == ("rolledBack", {"2": 0, "1": 100})


async def test_two_of_one_model_are_refused_and_so_is_its_traffic(world):
    steward = world.steward()
    await start(steward)
    with pytest.raises(InvalidArgument, match="a rollout of 'm' to version 2 is pending"):
        await start(steward)
    other = change(None, verb=TRAFFIC, shares=LiveTraffic("", {"weights": {"1": 100}}))
    with pytest.raises(InvalidArgument, match="abort or promote it first"):
        await steward.change(other)
    await steward.rollouts.act("m", "abort", "bob")
    assert shares(steward) == {"2": 0, "1": 100}
    await start(steward)


async def test_what_people_do_to_it(world):
    steward = world.steward()
    await start(steward)
    await report(steward)
    await steward.rollouts.act("m", "pause", "bob")
    await report(steward, FINE)
    assert (await phase(steward), shares(steward)) == ("paused", {"2": 10, "1": 90})
    await steward.rollouts.act("m", "resume", "bob")
    await steward.rollouts.act("m", "promote", "bob")
    assert shares(steward) == {"2": 100, "1": 0}
    assert (world.lines[-1]["verb"], world.lines[-1]["by"]) == ("rollout promote", "bob")
    with pytest.raises(InvalidArgument, match="is promoted: it can't be aborted"):
        await steward.rollouts.act("m", "abort", "bob")
    with pytest.raises(NotFound, match="'n' has no rollout"):
        await steward.rollouts.act("n", "abort", "bob")


async def test_what_else_there_was_goes_on(world):
    """Of three versions two are rolled out: the third keeps its share, and so do testers and users."""
    steward = world.steward()
    before = {"weights": {"1": 60, "3": 40}, "sticky": [{"header": "x-user"}]}
    await start(steward, before=before, over="digest")
    await report(steward)
    kept = steward.state.shares["m"]
    assert kept.config == {"weights": {"2": 6, "1": 54, "3": 40}, "sticky": [{"header": "x-user"}]}
    assert kept.over == "digest"


@pytest.mark.parametrize(
    ("said", "before", "text"),
    [
        ({**SAID, "version": "1"}, None, "version 1 of 'm' serves already"),
        ({**SAID, "stps": []}, None, "did you mean steps"),
        ({"version": "2"}, None, r"routing\.m\.rollout\.steps: required"),
        (SAID, {"weights": {"3": 100}}, "neither version 2 of 'm' nor 1 has any"),
    ],
)
async def test_one_that_cannot_be(world, said, before, text):
    steward = world.steward()
    with pytest.raises(InvalidArgument, match=text):
        await start(steward, said, before=before)
    assert steward.state.generation == 0


async def test_the_configuration_begins_one_once(world):
    steward = world.steward()
    id = await start(steward, by=CONFIGURATION)
    assert await start(steward, by=CONFIGURATION) == id
    await report(steward)
    await report(steward, BAD)
    assert await start(steward, by=CONFIGURATION) == id  # and what was rolled back stays so
    assert await phase(steward) == "rolledBack"
    other = {**SAID, "version": "3"}
    assert await start(steward, other, by=CONFIGURATION) != id
    assert shares(steward) == {"3": 0, "1": 100}


async def test_another_one_in_the_configuration_takes_its_place(world):
    steward = world.steward()
    await start(steward, by=CONFIGURATION)
    await report(steward)
    await start(steward, {**SAID, "version": "3"}, by=CONFIGURATION)
    assert steward.rollouts.of("m").state.config.version == "3"
    assert "another one stands in the configuration" in [line["outcome"] for line in world.lines]


async def test_one_of_the_configuration_does_not_end_a_person_s(world):
    steward = world.steward()
    id = await start(steward, by="ann")
    with pytest.raises(InvalidArgument, match="is pending"):
        await start(steward, {**SAID, "version": "3"}, by=CONFIGURATION)
    await steward.rollouts.configured({})
    assert steward.rollouts.of("m").state.id == id
    assert await phase(steward) == "pending"


async def test_one_that_no_longer_stands_in_the_configuration_ends(world):
    steward = world.steward()
    await start(steward, by=CONFIGURATION)
    await report(steward)
    await steward.rollouts.configured({"m": None})
    assert await phase(steward) == "running"
    await steward.rollouts.configured({})
    assert (await phase(steward), shares(steward)) == ("aborted", {"2": 0, "1": 100})


async def test_a_deploy_that_changes_the_traffic_ends_it(world):
    steward = world.steward()
    await start(steward, over="before")
    await report(steward)
    await steward.redirect("m", "before")
    assert await phase(steward) == "aborted"
    assert "m" not in steward.state.shares
    assert world.lines[-1]["outcome"] == "a deploy changed its traffic"


async def test_a_prometheus_is_asked_for_both_versions(world):
    steward = world.steward()
    asked: list[str] = []

    async def query(address: str, text: str) -> float:
        asked.append(f"{address} {text}")
        return 1.0

    steward.rollouts._query = query
    metric = {
        "kind": "prometheus", "address": "http://p:9090", "query": 'f{m="{{ model }}",v="{{version}}"}',
        "relativeMargin": 0.1, "interval": 0.05,
    }  # fmt: skip
    await start(steward, {**SAID, "metrics": [metric]})
    await report(steward)
    await report(steward)
    assert not asked
    await asyncio.sleep(0.06)
    await report(steward)
    await report(steward)  # its interval isn't over
    assert asked == [f'http://p:9090 f{{m="m",v="{number}"}}' for number in "21"]


async def test_a_prometheus_that_is_away_decides_nothing(world, caplog):
    steward = world.steward()
    query = 'f{v="{{version}}"}'
    metric = {
        "kind": "prometheus", "address": "http://p", "query": query, "relativeMargin": 0.1,
        "interval": 0.05,
    }  # fmt: skip
    await start(steward, {**SAID, "metrics": [metric]})
    for _ in range(3):
        await report(steward)
        await asyncio.sleep(0.06)
    assert await phase(steward) in ("running", "inconclusive")
    assert caplog.text.count("can't be asked") == 1  # and not each time
    assert "can't be asked" in caplog.text


async def test_routers_follow_those_that_are_not_over(world):
    steward = world.steward()
    id = await start(steward)
    assert followed(steward.state.rollouts) == {"m": (id, "2", "1")}
    await steward.rollouts.act("m", "abort", "")
    assert followed(steward.state.rollouts) == {}
