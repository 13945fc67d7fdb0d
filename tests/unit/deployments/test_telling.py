"""Whom a Router tells to look at their files: every replica, for every deploy, whatever goes wrong."""

import asyncio

import pytest

from serve_app.core import later
from serve_app.deployments import applications, conductor
from serve_app.releases.applications import RemoteApp
from serve_app.releases.telling import Told
from tests.unit.deployments.conducted import Setup, app, settled
from tests.unit.held import soon
from tests.unit.waiting import until


class Replicas:
    """Of an application: who runs, whom the handle knows, what they say."""

    def __init__(self, it: Setup) -> None:
        self.it, self.known = it, {"a"}
        self.told: list[tuple[float, bool, frozenset[str]]] = []
        self.reason, self.again = "", 0.0
        self.held: asyncio.Event | None = None
        it.conductor.applications.refresh = self

    async def __call__(self, one: RemoteApp, moment: float, late: bool) -> Told:
        reached = frozenset(self.known)
        if self.held is not None:
            await self.held.wait()
        self.told.append((moment, late, reached))
        return Told(reached, self.reason, self.again)

    async def follow(self, *names: str, **more) -> None:
        await self.it.follow(app(running=len(names), replicas=frozenset(names), **more))
        await settled()


@pytest.fixture
def replicas(it, monkeypatch) -> Replicas:
    monkeypatch.setattr(later, "FIRST_S", 0.01)
    monkeypatch.setattr(applications, "_BESIDE_S", 0.0)
    return Replicas(it)


async def test_a_deploy_lets_all_of_them_look(it, replicas):
    await replicas.follow("a")
    assert replicas.told == [(1.0, True, frozenset("a"))]  # if they haven't since that deploy
    await replicas.follow("a", status="DEPLOYING", stamp=2.0)
    it.asked.versions["m"], it.asked.loaded = ("1", "2"), 2.0
    await replicas.follow("a", stamp=2.0)
    assert replicas.told[1:] == [(2.0, False, frozenset("a"))]
    assert it.plane.changes()["applications"]["m"]["loaded"] == 2.0
    assert await it.answer("m") == 12
    await replicas.follow("a", stamp=2.0)
    assert len(replicas.told) == 2
    replicas.reason = "model 'm': no such file"
    await replicas.follow("a", stamp=3.0)
    assert replicas.told[2:] == [(3.0, False, frozenset("a"))]
    assert it.plane.directory.refusals()["m"] == "model 'm': no such file"
    assert await it.answer("m") == 12
    await it.follow()
    assert it.plane.directory.refusals() == {}


async def test_a_deploy_isnt_done_before_they_have_looked(it, replicas):
    await replicas.follow("a")
    replicas.held = asyncio.Event()
    await replicas.follow("a", stamp=2.0)
    assert it.plane.changes()["applications"]["m"]["deployed"] == 1.0
    assert await it.answer("m") == 11  # which goes on
    replicas.held.set()
    await until(lambda: it.plane.changes()["applications"]["m"]["deployed"] == 2.0)


async def test_one_that_comes_up_later_takes_part(it, replicas):
    """It may have read, or listed, its files before they changed."""
    await replicas.follow("a")
    await replicas.follow("a", stamp=2.0)
    replicas.known = {"a", "b"}
    await replicas.follow("a", "b", stamp=2.0)
    assert replicas.told[-1] == (2.0, True, frozenset("ab"))
    count, asked = len(replicas.told), len(it.asked.apps)
    await replicas.follow("a", "b", stamp=2.0)
    await replicas.follow("b", stamp=2.0)
    assert (len(replicas.told), len(it.asked.apps)) == (count, asked)


async def test_a_deploy_while_a_replica_starts(it, replicas):
    """Known to be running when the first one was asked, before the application was settled."""
    await replicas.follow("a", status="DEPLOYING")
    await replicas.follow("a", status="DEPLOYING", stamp=2.0)
    replicas.known = {"a", "b"}
    await replicas.follow("a", "b", stamp=2.0)
    assert replicas.told == [(2.0, True, frozenset("ab"))]


async def test_one_that_the_handle_doesnt_know_yet_is_told_soon(it, replicas):
    await replicas.follow("a")
    await replicas.follow("a", "b", stamp=2.0)  # by Serve's status
    assert replicas.told[-1] == (2.0, False, frozenset("a"))
    replicas.known = {"a", "b"}
    await until(lambda: replicas.told[-1] == (2.0, True, frozenset("ab")))
    assert not it.conductor._actual.paused


async def test_one_that_is_gone_isnt_waited_for(it, replicas):
    await replicas.follow("a", "b")
    replicas.known = {"c"}
    await replicas.follow("a", "b", stamp=2.0)  # they died in the middle of it
    await replicas.follow("c", stamp=2.0)
    await until(lambda: not it.conductor._actual.paused)
    count = len(replicas.told)
    await replicas.follow("c", stamp=2.0)
    assert len(replicas.told) == count


async def test_another_deploy_doesnt_wait_for_those_that_couldnt_be_told(it, replicas, monkeypatch):
    monkeypatch.setattr(later, "FIRST_S", 60)
    await replicas.follow("a", "b")
    await replicas.follow("a", "b", stamp=2.0)
    await replicas.follow("a", "b", stamp=2.0)
    assert [moment for moment, *_ in replicas.told] == [1.0, 2.0]
    await replicas.follow("a", "b", stamp=3.0)
    assert replicas.told[-1] == (3.0, False, frozenset("a"))


async def test_a_deploy_that_comes_while_they_are_told_of_another(it, replicas):
    await replicas.follow("a")
    replicas.held = asyncio.Event()
    await replicas.follow("a", stamp=2.0)
    await replicas.follow("a", stamp=3.0)
    assert len(replicas.told) == 1
    replicas.held.set()
    await until(lambda: it.plane.changes()["applications"]["m"]["deployed"] == 3.0)
    assert [moment for moment, *_ in replicas.told] == [1.0, 2.0, 3.0]


async def test_what_they_try_again_is_asked_for(it, replicas):
    await replicas.follow("a")
    replicas.reason, replicas.again = "its store can't be asked", 40.0
    await replicas.follow("a", stamp=2.0)
    (row,) = it.plane.repository_index()
    said = "a change was refused: its store can't be asked; tried again in 40 s"
    assert (row["state"], row["reason"]) == ("READY", said)
    assert it.plane.changes()["applications"]["m"]["refused"].startswith(
        "its store can't be asked; tried"
    )
    replicas.again = 0.01
    await replicas.follow("a", stamp=3.0)
    replicas.reason, replicas.again = "", 0.0  # by now it is well
    it.asked.versions["m"] = ("1", "2")
    await until(lambda: ("m", "2", "READY") in it.index())
    assert it.plane.directory.refusals() == {"m": ""}
    count = len(replicas.told)
    await asyncio.sleep(0.05)
    assert len(replicas.told) == count


async def test_a_reason_ends_with_a_load_over_the_network_that_went_well(it, replicas):
    await replicas.follow("a")
    replicas.reason = "model 'm' version 2: no model"
    await replicas.follow("a", stamp=2.0)
    assert it.plane.directory.refusals() == {"m": "model 'm' version 2: no model"}
    it.asked.versions["m"] = ("1", "2")  # the Steward told them
    await soon(it.conductor.ask_again("m"))
    assert it.plane.directory.refusals() == {"m": ""}


async def test_what_the_one_that_is_asked_tries_again_by_itself(it, replicas):
    """Of a load over the network, of which the Steward told it."""
    await replicas.follow("a")
    it.asked.refused["m"], it.asked.again = "its store can't be asked", 0.02
    await soon(it.conductor.ask_again("m"))
    assert it.plane.directory.refusals()["m"].startswith("its store can't be asked")
    it.asked.refused, it.asked.again, it.asked.versions["m"] = {}, 0.0, ("1", "2")
    await until(lambda: ("m", "2", "READY") in it.index())


async def test_one_that_waits_before_it_tries_again_is_asked_when_it_has(it, replicas, monkeypatch):
    """A load over the network has it try at once; what comes of that is the load's answer."""
    monkeypatch.setattr(conductor, "_LOOK_S", 0.001)
    waits = {"status": "DEPLOYING", "message": "its store can't be asked; tried again in 84 s"}
    await replicas.follow(**waits)
    load = asyncio.create_task(it.conductor.ask_again("m"))
    await settled()
    await replicas.follow(**waits)
    assert not load.done()
    await replicas.follow(**waits | {"message": "its store can't be asked; tried again in 5 s"})
    await soon(load)
    assert it.asked.apps == []  # nobody is there to be asked
    assert "tried again in 5 s" in it.plane.repository_index()[0]["reason"]

    load = asyncio.create_task(it.conductor.ask_again("m"))
    await settled()
    await replicas.follow("a")
    await soon(load)
    assert it.index() == [("m", "1", "READY")]

    await replicas.follow(**waits, stamp=2.0)
    monkeypatch.setattr(conductor, "_TRY_S", 0.0)
    await soon(it.conductor.ask_again("m"))  # it isn't waited for without end


async def test_a_load_over_the_network_counts_for_those_that_come_up_later(it, replicas):
    await replicas.follow("a")
    it.conductor.applications.ordered = 7.5
    replicas.known = {"a", "b"}
    await replicas.follow("a", "b")
    assert replicas.told[-1] == (7.5, True, frozenset("ab"))


async def test_a_model_at_zero_isnt_told_before_somebody_has_woken_it(it, replicas):
    await replicas.follow("a")
    await it.follow(app(running=0, replicas=frozenset()))
    await it.follow(app(running=0, replicas=frozenset(), stamp=2.0))
    assert len(replicas.told) == 1
    await replicas.follow("a", stamp=2.0)
    assert replicas.told[1:] == [(2.0, False, frozenset("a"))]


async def test_one_that_is_deleted_while_it_is_told(it, replicas):
    await replicas.follow("a")
    replicas.held = asyncio.Event()
    await replicas.follow("a", stamp=2.0)
    await it.follow()
    replicas.held.set()
    await until(lambda: not it.conductor._actual.telling)
    assert (it.index(), it.conductor._actual.told) == ([], {})
