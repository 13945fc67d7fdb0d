"""A load over the network: the Steward tells every replica of a model that runs."""

import time

import pytest

from serve_app.deployments import steward
from serve_app.releases.telling import Told
from tests.unit.deployments.conducted import app


class Serve:
    """Its status, look by look, and what comes of telling; the last of each stays."""

    def __init__(self, *looks: frozenset[str]) -> None:
        self.looks, self.answers = list(looks), [Told(looks[-1])]
        self.told: list[tuple[str, float]] = []

    def status(self, found: object) -> dict:
        replicas = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        one = app("m", replicas=replicas, running=len(replicas), stamp=2.0)
        return {"m": one, "n": app("n", replicas=frozenset("n"))}

    async def refresh(self, one, moment: float) -> Told:
        self.told.append((one.name, moment))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def serve(monkeypatch):
    def made(*looks: frozenset[str], answers: list[Told] | None = None) -> Serve:
        found = Serve(*looks)
        found.answers = answers or found.answers
        monkeypatch.setattr(steward, "serve_applications", dict)
        monkeypatch.setattr(steward, "remote_apps", found.status)
        monkeypatch.setattr(steward, "refresh", found.refresh)
        monkeypatch.setattr(steward, "_PAUSE_S", 0)
        return found

    return made


AB, A = frozenset("ab"), frozenset("a")


async def test_each_is_told_once(serve):
    found = serve(AB)
    assert await steward.reread("m", 3) == ""
    assert found.told == [("m", pytest.approx(2.000003, abs=1e-9))]


async def test_one_that_wasnt_reached_is_told_again(serve):
    found = serve(AB, answers=[Told(A), Told(AB)])
    assert await steward.reread("m", 3) == ""
    assert len(set(found.told)) == 1  # for the same moment: the others looked
    assert len(found.told) == 2


async def test_one_that_is_gone_isnt_waited_for(serve):
    found = serve(AB, A, answers=[Told(A)])
    assert await steward.reread("m", 3) == ""
    assert len(found.told) == 2


async def test_one_that_cant_be_reached_at_all_is_said(serve):
    serve(AB, answers=[Told(A)])
    assert await steward.reread("m", 3) == "its replicas b can't be told"
    serve(A, answers=[Told(reason="a ModelReplica can't look at its files: gone")])
    assert "can't look at its files: gone" in await steward.reread("m", 3)


async def test_what_one_cant_load_is_said_at_once(serve):
    found = serve(AB, answers=[Told(A, "version 2: no model")])
    assert await steward.reread("m", 3) == "version 2: no model"
    assert len(found.told) == 1


async def test_one_that_waits_before_it_tries_again_is_called(monkeypatch):
    """Once for each load, with the time at which it was asked for."""
    apps = [app("m", status="DEPLOYING", ingress="", running=0), app("n", status="DEPLOYING"), app("o")]
    called = list[tuple[str, float]]()
    monkeypatch.setattr(steward, "serve_applications", dict)
    monkeypatch.setattr(steward, "remote_apps", lambda found: {one.name: one for one in apps})
    monkeypatch.setattr(steward, "call", lambda *told: called.append(told))
    began = time.time()
    assert await steward.reread("m", 3) == ""
    assert [name for name, _ in called] == ["m"]
    assert began <= called[0][1] <= time.time()
    apps[0] = app("m", running=0, replicas=frozenset())
    monkeypatch.setattr(steward, "refresh", Serve(frozenset()).refresh)
    assert await steward.reread("m", 4) == ""
    assert len(called) == 1  # it runs
