"""Traffic that is set while the service runs: in every Router when it is answered, until a deploy."""

import asyncio

import pytest

from serve_app.errors import InvalidArgument, NotFound, UnknownModel
from tests.unit.deployments.test_conductor_versions import model
from tests.unit.runtimes.test_versions_apart import write
from tests.unit.waiting import until

HALVES = {"weights": {"1": 50.0, "2": 50.0}}
CONFIGURED = {"a": {"traffic": {"weights": {"1": 100}}}}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "a"
    place.mkdir()
    write(place, "1", "10")
    write(place, "2", "20")
    return place


def weights(router) -> dict[str, float] | None:
    split = router.directory.model("a").split
    return dict(split.traffic.weights) if split else None


async def test_every_router_shares_so_when_it_is_answered_and_loads_nothing(world, folder):
    one, two = world("r1"), world("r2")
    for router in (one, two):
        await router.start(model(folder))
    before = [dict(router.directory.model("a").versions) for router in (one, two)]
    await one.changing.direct("a", HALVES, "me")
    assert [weights(router) for router in (one, two)] == [HALVES["weights"]] * 2
    assert [dict(router.directory.model("a").versions) for router in (one, two)] == before
    found = two.changing.traffic("a")
    assert (found["source"], found["traffic"]) == ("live", HALVES)
    assert [(row["version"], row["share"], row["state"]) for row in found["versions"]] == [
        ("1", 50.0, "READY"), ("2", 50.0, "READY"),
    ]  # fmt: skip
    (line,) = (await one.changing.audit())["audit"]
    assert (line["verb"], line["by"], line["outcome"]) == ("traffic", "me", "served")
    assert line["traffic"] == HALVES


async def test_it_is_given_back_to_the_configuration(world, folder):
    router = world("r1")
    await router.start(model(folder))
    router.deploy(model(folder), routing=CONFIGURED)
    await router.conductor.adopted()
    assert weights(router) == {"1": 100}
    await router.changing.direct("a", HALVES, "me")
    assert weights(router) == HALVES["weights"]
    await router.changing.direct("a", None, "me")
    assert weights(router) == {"1": 100}
    assert router.changing.traffic("a")["source"] == "configuration"


async def test_a_deploy_that_changes_the_traffic_wins_and_any_other_does_not(world, folder):
    router = world("r1")
    await router.start(model(folder))
    await router.changing.direct("a", HALVES, "me")
    router.deploy(model(folder, batching={"maxBatchSize": 4}), limits={"timeout": 5})
    await router.conductor.adopted()
    assert weights(router) == HALVES["weights"]
    router.deploy(model(folder), routing=CONFIGURED)
    await router.conductor.adopted()
    assert weights(router) == {"1": 100}
    await until(lambda: not world.handle.holder.state.shares)
    assert world.handle.holder.state.audit[-1]["outcome"] == "a deploy changed its traffic"


async def test_loads_leave_it_alone(world, folder):
    router = world("r1")
    await router.start(model(folder))
    await router.changing.direct("a", HALVES, "me")
    write(folder, "3", "30")
    await router.do("load", "a")
    assert "3" in router.directory.model("a").versions
    assert weights(router) == HALVES["weights"]
    assert [row["weight"] for row in router.changing.traffic("a")["versions"]] == [50, 50, 0]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"weights": {"1": 90, "7": 10}}, r"traffic\.weights\.7: no version 7 is loaded; known: 1, 2"),
        ({"match": [{"header": "a", "version": "9"}]}, r"traffic\.match\[0\]\.version: no version 9"),
        ({"weights": {"1": 90}}, "have to make 100 together, they make 90"),
        ({"weihgts": {"1": 100}}, "did you mean weights"),
        ([], "expected a mapping, got list"),
        ({}, "expected weights, or match"),
    ],
)
async def test_what_is_none_changes_nothing(world, folder, said, text):
    router = world("r1")
    await router.start(model(folder))
    with pytest.raises(InvalidArgument, match=text):
        await router.changing.direct("a", said, "me")
    assert weights(router) is None
    assert router.live.state.generation == 0


async def test_of_a_model_that_is_not_there(world, folder):
    router = world("r1")
    await router.start(model(folder))
    with pytest.raises((NotFound, UnknownModel), match="no model 'b'"):
        await router.changing.direct("b", HALVES, "me")


async def test_a_new_router_shares_so_from_its_first_moment(world, folder):
    router = world("r1")
    await router.start(model(folder))
    await router.changing.direct("a", HALVES, "me")
    await router.kill()
    world.handle.routers.discard("r1")
    world.handle.kill()
    world.handle.start()
    later = world("r2")
    await later.start(model(folder))
    assert weights(later) == HALVES["weights"]


async def test_a_steward_that_is_killed_meanwhile(world, folder):
    router = world("r1")
    await router.start(model(folder))
    asked = asyncio.create_task(router.changing.direct("a", HALVES, "me"))
    await asyncio.sleep(0)
    world.handle.kill()
    world.handle.start()
    await asked
    assert weights(router) == HALVES["weights"]


async def test_what_differs_from_the_configuration_is_told(world, folder):
    router = world("r1")
    await router.start(model(folder))
    assert router.live.differs() == {}
    await router.changing.direct("a", HALVES, "me")
    assert router.live.differs() == {"a": "traffic"}
    await router.do("load", "a", config={"batching": {"maxBatchSize": 4}})
    assert router.live.differs() == {"a": "entry, traffic"}
    await router.do("unload", "a")
    assert router.live.differs() == {"a": "unloaded, traffic"}
    await router.do("load", "a")
    # The same, committed: nothing differs any more, and the live one has gone.
    router.deploy(model(folder), routing={"a": {"traffic": HALVES}})
    await router.conductor.adopted()
    assert router.live.differs() == {}
    assert weights(router) == HALVES["weights"]


async def test_traffic_that_says_what_the_default_version_does(world, folder):
    router = world("r1")
    await router.live.first()
    router.deploy(model(folder), routing={"a": {"defaultVersion": "2"}})
    await router.conductor.adopted()
    router.task = asyncio.create_task(router.live.run())
    await router.changing.direct("a", {"weights": {"2": 100, "1": 0}}, "me")
    assert router.live.differs() == {}
    await router.changing.direct("a", {"weights": {"1": 100, "2": 0}}, "me")
    assert router.live.differs() == {"a": "traffic"}
