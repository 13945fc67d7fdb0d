"""Telling an application's replicas of a deploy: Serve's handles are stood in for."""

import asyncio
import gc
from types import SimpleNamespace

import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException

from serve_app.core.paths import Paths
from serve_app.deployments import remote
from serve_app.releases.telling import Told
from tests.unit.deployments.conducted import app
from tests.unit.planes import description


class Handle:
    """Of a deployment whose replicas say why they can't load; it knows them once it was answered."""

    def __init__(self, said: list | Exception, told: list) -> None:
        self.said, self.told, self.known = said, told, False
        self.describe = SimpleNamespace(remote=self._describe)

    async def _describe(self) -> None:
        await asyncio.sleep(0)
        self.known = True

    def broadcast(self, method: str, moment: float, late: bool):
        assert self.known
        self.told.append((method, moment, late))
        return SimpleNamespace(results_async=self._results)

    async def _results(self, timeout_s: float, return_exceptions: bool) -> list:
        assert return_exceptions
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def told(monkeypatch):
    """By deployment, what replicas say; and what they were told."""
    saying: dict[str, list | Exception] = {}
    told: list[tuple[str, float, bool]] = []
    monkeypatch.setattr(
        remote.serve, "get_deployment_handle", lambda name, of: Handle(saying[name], told)
    )
    return saying, told


async def test_every_replica_is_told_and_the_first_reason_is_kept(told):
    saying, heard = told
    saying |= {
        "ModelReplica": [("a", "", 0.0), ("b", "no such file", 0.0)],
        "Tokenizer": [("t", "its own", 0.0)],
    }
    found = await remote.refresh(app(ingress="Tokenizer"), 7.0)
    assert found == Told(frozenset("abt"), "no such file")
    assert heard == [("refresh", 7.0, False)] * 2
    saying["ModelReplica"] = [("a", "", 0.0)]
    assert await remote.refresh(app(), 8.0, True) == Told(frozenset("a"))
    assert heard[-1] == ("refresh", 8.0, True)


async def test_when_some_try_again_they_are_asked_when_the_first_has(told):
    saying, _ = told
    saying["ModelReplica"] = [("a", "no route", 40.0), ("b", "no route", 10.0), ("c", "", 0.0)]
    assert await remote.refresh(app(), 1.0) == Told(frozenset("abc"), "no route", 10.0)


async def test_one_that_can_be_told_nothing_holds_up_nobody(told, caplog):
    saying, _ = told
    saying |= {"ModelReplica": RayServeException("gone"), "Tokenizer": [("t", "not its files", 0.0)]}
    found = await remote.refresh(app(ingress="Tokenizer"), 1.0)
    assert found == Told(frozenset("t"), "not its files")
    assert "can't look at its files: gone" in caplog.text


async def test_those_that_answer_count_though_others_dont(told):
    saying, _ = told
    saying["ModelReplica"] = [RuntimeError("a fault of its own"), ("b", "", 0.0)]
    found = await remote.refresh(app(), 1.0)
    assert found == Told(frozenset("b"), "a ModelReplica can't look at its files: a fault of its own")
    saying["ModelReplica"] = [RayActorError(), ("b", "", 0.0)]  # it died: another comes in its place
    assert await remote.refresh(app(), 1.0) == Told(frozenset("b"))
    saying["ModelReplica"] = TimeoutError("too late")
    found = await remote.refresh(app(), 1.0)
    assert found == Told(frozenset(), "a ModelReplica can't look at its files: too late")


async def test_an_application_of_which_versions_serve_is_called_as_before(monkeypatch):
    handles: list[object] = []

    class Application:
        abandoned = False

        def __init__(self, name: str, handle: object, paths: Paths) -> None:
            self.handle, self.name = handle, name

        async def describe(self):
            return description(self.name, versions=("1",))

        def targets(self, versions):
            return dict.fromkeys(versions, self)

    def made(ingress: str, name: str) -> object:
        handles.append((ingress, name))
        return object()

    monkeypatch.setattr(remote.serve, "get_deployment_handle", made)
    monkeypatch.setattr(remote, "RemoteApplication", Application)
    ask = remote.asking(Paths())
    _, first = await ask(app())
    _, again = await ask(app(stamp=2.0))
    assert again == first
    _, other = await ask(app("n"))
    assert other != first
    _, tokenized = await ask(app(ingress="Tokenizer"))
    assert tokenized != first
    first["1"].abandoned = True  # it was deleted, and is there again
    _, anew = await ask(app(stamp=3.0))
    assert anew != first
    del first, again, anew, other, tokenized
    gc.collect()
    await ask(app())
    assert handles.count(("ModelReplica", "m")) == 3  # nothing of it served any more


async def test_a_model_at_zero_isnt_woken(told):
    assert await remote.refresh(app(running=0), 1.0) == Told()
    assert told[1] == []
