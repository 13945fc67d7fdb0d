"""A rollout through Routers: begun by the configuration or by people, counted, and what follows."""

import asyncio

import httpx
import pytest

from serve_app.config import Limits, Traffic
from serve_app.core.call import Headers
from serve_app.deployments.counting import Counting
from serve_app.deployments.rolling import RouterRollouts
from serve_app.errors import InvalidArgument, ModelFailed, Overloaded
from serve_app.ingress.rest import RestApp
from serve_app.releases.asked import Asked
from serve_app.releases.rollout import Evidence
from tests.unit.deployments.test_conductor_versions import model
from tests.unit.engines import ABOUT, ENGINE, Talker, backend
from tests.unit.planes import Backend, Raises, call, description, plane, served, targets, tensor
from tests.unit.runtimes.test_versions_apart import write
from tests.unit.waiting import until

METRICS = [{"kind": "errorRate", "margin": 0.01}]
SAID = {"version": "2", "steps": [{"weight": 50, "requests": 1}], "metrics": METRICS}
ROW = [[1.0, 2.0]]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "a"
    place.mkdir()
    write(place, "1", "10")
    write(place, "2", "20")
    return place


async def rolling(router, handle) -> RouterRollouts:
    made = RouterRollouts(router.live, handle, router.directory)
    await made.turn()
    return made


async def become(wanted: dict[str, float], routers, handle, *those: RouterRollouts) -> None:
    """Turn after turn, until all of the Routers share so."""
    async with asyncio.timeout(5):
        while any(weights(router) != wanted for router in routers):
            for one in those:
                await one.turn()
            await handle.holder.rollouts.look()
            await asyncio.sleep(0.02)


def weights(router) -> dict[str, float]:
    split = router.directory.model("a").split
    return dict(split.traffic.weights) if split else {}


async def test_the_version_that_is_rolled_out_gets_nothing_before_that(world, folder):
    """Though it is the newest, and ready."""
    router = world("r1")
    await router.live.first()
    router.deploy(model(folder), routing={"a": {"rollout": SAID}})
    await router.conductor.adopted()
    assert router.directory.model("a").pick().number == "1"
    assert set(router.directory.model("a").versions) == {"1", "2"}


async def test_one_of_the_configuration_begins_by_itself(world, folder):
    one, two = world("r1"), world("r2")
    for router in (one, two):
        await router.live.first()
        router.deploy(model(folder), routing={"a": {"rollout": SAID}})
        await router.conductor.adopted()
        router.task = asyncio.create_task(router.live.run())
    those = [await rolling(router, world.handle) for router in (one, two)]
    await until(lambda: weights(one) == weights(two) == {"2": 0, "1": 100})
    await become({"2": 50, "1": 50}, (one, two), world.handle, *those)
    one.deploy(model(folder))
    await one.conductor.adopted()
    await those[0].turn()
    assert world.handle.holder.rollouts.of("a").state.phase == "aborted"


async def test_people_begin_one_and_end_it(world, folder):
    router = world("r1")
    await router.start(model(folder))
    await router.changing.direct("a", {"weights": {"1": 100, "2": 0}}, "ann")
    made = await rolling(router, world.handle)
    await router.changing.roll("a", "start", SAID, "ann")
    await become({"2": 50, "1": 50}, (router,), world.handle, made)
    found = await router.changing.rollout("a")
    assert (found["phase"], found["by"], found["weights"]) == ("running", "ann", {"2": 50, "1": 50})
    await router.changing.roll("a", "promote", None, "bob")
    await until(lambda: weights(router) == {"2": 100, "1": 0})


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (None, r"the configuration has none of 'a' \(routing\.a\.rollout\)"),
        ({**SAID, "version": "7"}, r"rollout\.version: no version 7 is loaded; known: 1, 2"),
        ({**SAID, "baseline": "7"}, r"rollout\.baseline: no version 7 is loaded"),
        ({**SAID, "step": []}, "did you mean steps"),
        ("2", "expected a mapping"),
    ],
)
async def test_one_that_is_none(world, folder, said, text):
    router = world("r1")
    await router.start(model(folder))
    with pytest.raises(InvalidArgument, match=text):
        await router.changing.roll("a", "start", said, "ann")


@pytest.fixture
def counted():
    made = plane()
    there = served(made, backend=Backend(), versions=("1", "2"))
    there.direct(None, Traffic(weights={"1": 50, "2": 50}, match=[{"header": "t", "version": "2"}]))
    counting = Counting(made.directory)
    state = {"id": "r", "phase": "running", "said": {"version": "2"}, "baseline": "1"}
    counting.follow({"m": {"state": state}})
    made.observers.each = (*made.observers.each, counting)
    return made, counting


def evidence(counting) -> Evidence:
    return Evidence.of(counting.said()["m"]["evidence"])


async def test_calls_that_the_shares_gave_to_a_version_are_counted(counted):
    made, counting = counted
    for _ in range(10):
        await made.infer(call(tensor(ROW)))
    await made.infer(call(tensor(ROW), version="2"))
    await made.infer(call(tensor(ROW), headers=Headers([("t", "1")])))
    found = evidence(counting)
    assert found.canary.requests + found.baseline.requests == 10
    assert 4 <= found.canary.requests <= 6
    assert sum(found.canary.latency.values()) == found.canary.requests
    assert found.canary.measures["request_predict_seconds_count"] == found.canary.requests
    assert counting.said()["m"]["ready"]


async def test_only_the_server_s_faults_are_errors(counted):
    made, counting = counted
    for error in (ModelFailed("raised"), RuntimeError("a bug"), Overloaded("full")):
        served(made, backend=Raises(error), versions=("1", "2"))
        for _ in range(2):
            with pytest.raises(type(error)):
                await made.infer(call(tensor(ROW)))
    with pytest.raises(InvalidArgument):
        await made.infer(call(tensor(ROW, name="other")))
    found = evidence(counting)
    assert found.canary.requests + found.baseline.requests == 6
    assert found.canary.errors + found.baseline.errors == 6


async def test_what_the_steward_did_not_hear_is_said_again(counted):
    made, counting = counted
    for _ in range(2):
        await made.infer(call(tensor(ROW)))
    found = evidence(counting)
    assert found.canary.requests + found.baseline.requests == 2
    await made.infer(call(tensor(ROW)))
    found = evidence(counting)
    assert found.canary.requests + found.baseline.requests == 3
    counting.sent()
    assert evidence(counting).canary.requests == 0


async def test_another_rollout_begins_at_nothing(counted):
    made, counting = counted
    await made.infer(call(tensor(ROW)))
    state = {"id": "later", "phase": "running", "said": {"version": "2"}, "baseline": "1"}
    counting.follow({"m": {"state": state}})
    found = evidence(counting)
    assert found.canary.requests + found.baseline.requests == 0
    counting.follow({"m": {"state": {**state, "phase": "promoted"}}})
    assert not counting.active
    assert counting.said() == {}


async def test_a_version_that_is_not_ready_is_said(counted):
    made, counting = counted
    made.directory.model("m").versions["2"].unavailable("gone")
    assert not counting.said()["m"]["ready"]


async def test_a_router_that_is_still_old_ends_nothing(world, folder):
    """Serve hands a configuration to one Router after the other."""
    new = {"a": {"traffic": {"weights": {"1": 100}}, "rollout": SAID}}
    one, two = world("r1"), world("r2")
    for router in (one, two):
        await router.start(model(folder))
    one.deploy(model(folder), routing=new)
    await one.conductor.adopted()
    made = await rolling(one, world.handle)
    await until(lambda: one.live.state.rollouts and two.live.state.rollouts)
    await asyncio.sleep(0.1)
    assert world.handle.holder.rollouts.of("a").state.phase == "pending"
    two.deploy(model(folder), routing=new)
    await two.conductor.adopted()
    other = await rolling(two, world.handle)
    await become({"2": 50, "1": 50}, (one, two), world.handle, made, other)


async def test_a_baseline_that_is_not_there_leaves_what_serves(world, folder):
    router = world("r1")
    await router.live.first()
    router.deploy(model(folder), routing={"a": {"rollout": {**SAID, "baseline": "7"}}})
    await router.conductor.adopted()
    router.task = asyncio.create_task(router.live.run())
    await rolling(router, world.handle)
    await asyncio.sleep(0.05)
    assert router.directory.model("a").pick().number == "1"
    assert world.handle.holder.rollouts.of("a") is None


async def test_a_version_that_is_not_there_is_not_promoted(world, folder):
    router = world("r1")
    await router.start(model(folder))
    await router.changing.direct("a", {"weights": {"1": 100, "2": 0}}, "ann")
    await router.changing.roll("a", "start", SAID, "ann")
    router.directory.model("a").versions["2"].unavailable("its replicas died")
    with pytest.raises(InvalidArgument, match="version 2 isn't ready"):
        await router.changing.roll("a", "promote", None, "ann")


async def test_language_models_are_counted_too():
    """Over OpenAI's routes, whole and in pieces."""
    made = plane()
    there = made.directory.expect("llm", "a")
    for source, number in ("a1", "b2"):
        one = backend(Talker())
        about = description("llm", ABOUT, (number,), engine=ENGINE)
        there.serve(source, about, targets(one, (number,)))
    there.direct(None, Traffic(weights={"1": 50, "2": 50}))
    counting = Counting(made.directory)
    state = {"id": "r", "phase": "running", "said": {"version": "2"}, "baseline": "1"}
    counting.follow({"llm": {"state": state}})
    made.observers.each = (*made.observers.each, counting)
    transport = httpx.ASGITransport(RestApp(made, Limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        for stream in (False, True) * 5:
            asked = {"model": "llm", "prompt": "a", "stream": stream}
            assert (await client.post("/v1/completions", json=asked)).status_code == 200
    found = Evidence.of(counting.said()["llm"]["evidence"])
    assert found.canary.requests + found.baseline.requests == 10
    assert 4 <= found.canary.requests <= 6
    assert found.canary.errors == found.baseline.errors == 0


async def test_the_steward_hears_which_models_there_are(world, folder, monkeypatch):
    router = world("r1")
    await router.start(model(folder))
    heard = []

    async def known(models):
        heard.append(models)

    monkeypatch.setattr(world.handle.holder.rollouts, "known", known)
    made = await rolling(router, world.handle)
    await made.turn()  # not each second
    assert heard == [["a"]]


async def test_the_version_that_was_promoted_isn_t_unloaded_alone(world, folder):
    router = world("r1")
    await router.start(model(folder))
    await router.changing.direct("a", {"weights": {"1": 0, "2": 100}}, "ann")
    await until(lambda: weights(router) == {"1": 0, "2": 100})
    asked = Asked("unload", "a", "2")
    with pytest.raises(InvalidArgument, match=r"tandem traffic a 1=100"):
        await router.changing.apply(asked, "ann")
    await router.changing.direct("a", {"weights": {"1": 100, "2": 0}}, "ann")
    await until(lambda: weights(router) == {"1": 100, "2": 0})
    await router.changing.apply(asked, "ann")
    await until(lambda: set(router.directory.model("a").versions) == {"1"})
