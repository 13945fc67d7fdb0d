"""Many models and few in memory: who is loaded when, who gives way, and what clients see of it."""

import asyncio
import threading
from typing import ClassVar

import pytest

from serve_app.config import RouterUserConfig, parse
from serve_app.deployments import conductor, residents
from serve_app.errors import NOT_HERE, ConfigError, NotFound, Unavailable
from tests.unit.deployments.conducted import ROW, Setup, double, failing, settled, unwanted
from tests.unit.held import soon
from tests.unit.models import Double
from tests.unit.planes import call, tensor
from tests.unit.waiting import until


class Counted(Double):
    """Counts its loads by name, and may wait for them, or with its answers."""

    loads: ClassVar[list[str]] = []
    loading: ClassVar[set[str]] = set()
    most: ClassVar[int] = 0
    gates: ClassVar[dict[str, threading.Event]] = {}
    answers: ClassVar[dict[str, threading.Event]] = {}

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def load(self, folder):
        Counted.loading.add(self.name)
        Counted.most = max(Counted.most, len(Counted.loading))
        if gate := self.gates.get(self.name):
            assert gate.wait(20)
        Counted.loading.discard(self.name)
        self.loads.append(self.name)

    def predict(self, inputs, parameters):
        if (inputs["x"] < 0).any():
            assert self.answers[self.name].wait(20)
        return super().predict(inputs, parameters)


@pytest.fixture(autouse=True)
def _fresh():
    for one in (Counted.loads, Counted.loading, Counted.gates, Counted.answers):
        one.clear()
    Counted.most = 0


def counted(name: str, **more) -> dict:
    return {**double(name), "class": f"{__name__}:Counted", "options": {"name": name}, **more}


async def few(it: Setup, most: int, *models: dict, **more) -> None:
    await it.serve(*models, limits={"maxLoadedModels": most}, **more)


def states(it: Setup) -> dict[str, str]:
    return {name: state for name, _, state in it.index()}


async def ask(it: Setup, name: str, *row: float) -> float:
    answer = await it.plane.infer(call(tensor([list(row or (1.0, 2.0))]), model=name))
    return answer.outputs[0].data[0, 0]


async def test_none_is_loaded_before_it_is_asked_for(it: Setup):
    it.plane.tried = False
    it.look()
    await few(it, 2, *(counted(name) for name in "abc"))
    assert Counted.loads == []
    assert it.plane.ready  # which those that rest don't hold up
    it.plane.strict = True
    assert it.plane.ready
    assert [it.plane.model_ready(name) for name in "abc"] == [True] * 3  # clients ask before they send
    assert it.index() == [(name, "", "UNAVAILABLE") for name in "abc"]
    assert {row["reason"] for row in it.plane.repository_index()} == {NOT_HERE}
    assert await soon(ask(it, "b")) == 2
    assert (Counted.loads, states(it)["b"]) == (["b"], "READY")
    assert it.index()[1] == ("b", "1", "READY")


async def test_a_load_for_a_request_is_no_reason_to_look_at_all_models(it: Setup, monkeypatch):
    await few(it, 1, *(counted(name) for name in "abc"))
    looks = []
    turned = conductor.reconcile
    monkeypatch.setattr(conductor, "reconcile", lambda *given: looks.append(given) or turned(*given))
    for name in "abc":
        await soon(ask(it, name))
    assert (Counted.loads, looks) == (["a", "b", "c"], [])


async def test_the_one_that_was_asked_for_longest_ago_gives_way(it: Setup):
    await few(it, 2, *(counted(name) for name in "abc"))
    for name in "aba":
        await soon(ask(it, name))
        await asyncio.sleep(0.002)  # last use is kept in milliseconds
    await soon(ask(it, "c"))
    assert {name for name, state in states(it).items() if state == "READY"} == {"a", "c"}
    assert Counted.loads == ["a", "b", "c"]
    assert it.index()[1] == ("b", "1", "UNAVAILABLE")  # by now its versions are known
    await soon(ask(it, "b"))
    assert Counted.loads == ["a", "b", "c", "b"]
    assert set(it.conductor.inline.hosts) == {"b", "c"}
    counts = it.plane.directory.cold
    assert (counts.loads, counts.evictions, len(counts.waits)) == (4, 2, 4)


async def test_one_that_is_in_use_stays(it: Setup):
    await few(it, 1, counted("a"), counted("b"))
    Counted.answers["a"] = threading.Event()
    running = asyncio.create_task(ask(it, "a", -1, 1))
    await soon(until(lambda: it.plane.directory.model("a").versions.get("1")))
    waiting = asyncio.create_task(ask(it, "b"))
    await asyncio.sleep(0.05)
    assert (Counted.loads, waiting.done()) == (["a"], False)
    Counted.answers["a"].set()
    assert await soon(running) == -2
    assert await soon(waiting) == 2
    assert Counted.loads == ["a", "b"]
    await unwanted(it)
    assert list(it.conductor.inline.hosts) == ["b"]


async def test_a_hundred_requests_for_one_are_one_load(it: Setup):
    await few(it, 2, counted("a"), counted("b"))
    Counted.gates["a"] = threading.Event()
    asked = [asyncio.create_task(ask(it, "a")) for _ in range(100)]
    await soon(until(lambda: Counted.loading))
    assert it.plane.directory.model("a").pending == 100
    Counted.gates["a"].set()
    assert await soon(asyncio.gather(*asked)) == [2] * 100
    assert Counted.loads == ["a"]
    assert it.plane.directory.model("a").versions["1"].counters.success.count == 100


async def test_different_ones_are_loaded_side_by_side_but_not_all_at_once(it: Setup):
    names = [f"m{number}" for number in range(7)]
    await few(it, 20, *map(counted, names))
    for name in names:
        Counted.gates[name] = threading.Event()
    asked = [asyncio.create_task(ask(it, name)) for name in names]
    await soon(until(lambda: len(Counted.loading) == residents.PARALLEL))
    await asyncio.sleep(0.05)
    assert len(Counted.loading) == residents.PARALLEL
    for gate in Counted.gates.values():
        gate.set()
    await soon(asyncio.gather(*asked))
    assert sorted(Counted.loads) == names
    assert Counted.most == residents.PARALLEL


async def test_never_more_than_the_limit_whatever_is_asked_for(it: Setup):
    names = [f"m{number}" for number in range(9)]
    await few(it, 3, *map(counted, names))
    hosts, most = it.conductor.inline.hosts, 0

    async def one(number: int) -> None:
        nonlocal most
        await ask(it, names[number * 7 % 9])
        most = max(most, len(hosts))

    await soon(asyncio.gather(*map(one, range(200))))
    assert most <= 3


async def test_who_cannot_wait_so_long_is_told_when_to_come_again(it: Setup):
    await few(it, 1, counted("a"))
    Counted.gates["a"] = threading.Event()
    request = call(tensor(ROW), model="a", parameters={"timeout": 20_000})
    with pytest.raises(Unavailable, match=r"model 'a' wasn't loaded within 0.02 s") as refused:
        await soon(it.plane.infer(request))
    assert refused.value.retry_after > 0
    Counted.gates["a"].set()
    assert await soon(ask(it, "a")) == 2
    assert Counted.loads == ["a"]


async def test_one_that_cannot_be_loaded_says_why_and_isnt_tried_at_once_again(it: Setup, monkeypatch):
    await few(it, 2, failing("a"), counted("b"))
    for _ in range(3):
        with pytest.raises(Unavailable, match="the disk is gone") as refused:
            await soon(ask(it, "a"))
    assert 0 < refused.value.retry_after <= residents.AGAIN_S
    reasons = {row["name"]: row["reason"] for row in it.plane.repository_index()}
    assert "the disk is gone" in reasons["a"]
    assert await soon(ask(it, "b")) == 2
    monkeypatch.setattr(residents, "AGAIN_S", 0)
    it.conductor._residents.forget()
    monkeypatch.setattr("tests.unit.models.Refuses.load", lambda self, folder: None)
    assert await soon(it.plane.infer(call(tensor(ROW), model="a")))
    assert it.plane.changes()["models"]["a"] == ""


async def test_what_a_model_takes_is_asked_of_one_that_is_loaded(it: Setup):
    await few(it, 1, counted("a"), counted("b"))
    about = it.plane
    assert [one.name for one in (await soon(about.awake("a"))).signature.inputs] == ["x"]
    assert about.model_metadata("a")["inputs"][0]["name"] == "x"
    await soon(ask(it, "b"))
    assert states(it)["a"] == "UNAVAILABLE"
    await soon(about.awake("a"))  # known by now
    assert about.model_metadata("a")["versions"] == ["1"]
    assert Counted.loads == ["a", "b"]
    with pytest.raises(NotFound):
        await about.awake("nobody")


async def test_versions_by_number(it: Setup):
    await few(it, 1, counted("a", versions=["3"]), counted("b"))
    assert (await soon(it.plane.infer(call(tensor(ROW), model="a", version="3")))).version == "3"
    await soon(ask(it, "b"))
    with pytest.raises(NotFound, match="no version '2'; it has 3"):
        await soon(it.plane.infer(call(tensor(ROW), model="a", version="2")))


async def test_another_configuration_of_one_that_rests_is_loaded_when_it_is_asked_for(it: Setup):
    await few(it, 2, double("a", by=2), double("b", by=2))
    assert await soon(ask(it, "a")) == 2
    await few(it, 2, double("a", by=3), double("b", by=3))
    assert await soon(ask(it, "a")) == 3  # loaded by the change: it was in memory
    assert list(it.conductor.inline.hosts) == ["a"]
    assert await soon(ask(it, "b")) == 3
    await few(it, 2, double("b", by=4))
    assert it.plane.directory.models.keys() == {"b"}
    assert await soon(ask(it, "b")) == 4


async def test_one_that_is_removed_while_it_loads(it: Setup):
    await few(it, 2, counted("a"), counted("b"))
    Counted.gates["a"] = threading.Event()
    waiting = asyncio.create_task(ask(it, "a"))
    await soon(until(lambda: Counted.loading))
    await few(it, 2, counted("b"))
    Counted.gates["a"].set()
    with pytest.raises((NotFound, Unavailable)):
        await soon(waiting)
    await unwanted(it)
    assert it.conductor.inline.hosts == {}


async def test_with_the_limit_and_without_it(it: Setup):
    models = [counted(name) for name in "abc"]
    await it.serve(*models)
    assert Counted.loads == ["a", "b", "c"]
    await few(it, 1, *models)
    await unwanted(it)
    assert len(it.conductor.inline.hosts) == 1
    await it.serve(*models)
    await settled()
    assert set(states(it).values()) == {"READY"}
    assert set(it.conductor.inline.hosts) == {"a", "b", "c"}


def test_the_limit_is_a_number_of_models():
    with pytest.raises(ConfigError, match=r"limits\.maxLoadedModels"):
        parse(RouterUserConfig, {"limits": {"maxLoadedModels": 0}})
