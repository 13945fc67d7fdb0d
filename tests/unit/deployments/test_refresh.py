"""Telling an application's replicas of a deploy: Serve's handles are stood in for."""

import asyncio
import gc
from types import SimpleNamespace

import pytest
from ray.serve.exceptions import RayServeException

from serve_app.core.paths import Paths
from serve_app.deployments import remote
from tests.unit.deployments.conducted import app
from tests.unit.planes import description


class Handle:
    """Of a deployment whose replicas say why they can't load; it knows them once it was answered."""

    def __init__(self, said: list[str] | Exception, told: list) -> None:
        self.said, self.told, self.known = said, told, False
        self.describe = SimpleNamespace(remote=self._describe)

    async def _describe(self) -> None:
        await asyncio.sleep(0)
        self.known = True

    def broadcast(self, method: str, deployed: float):
        assert self.known
        self.told.append((method, deployed))
        return SimpleNamespace(results_async=self._results)

    async def _results(self, timeout_s: float) -> list[str]:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def told(monkeypatch):
    """By deployment, what replicas say; and what they were told."""
    saying: dict[str, list[str] | Exception] = {}
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(
        remote.serve, "get_deployment_handle", lambda name, of: Handle(saying[name], told)
    )
    return saying, told


async def test_every_replica_is_told_and_the_first_reason_is_kept(told):
    saying, heard = told
    saying |= {"ModelReplica": ["", "no such file"], "Tokenizer": [""]}
    assert await remote.refresh(app(ingress="Tokenizer", stamp=7.0)) == "no such file"
    assert heard == [("refresh", 7.0)] * 2
    saying["ModelReplica"] = [""]
    assert await remote.refresh(app(stamp=8.0)) == ""


async def test_one_that_can_be_told_nothing_holds_up_nobody(told, caplog):
    saying, _ = told
    saying |= {"ModelReplica": RayServeException("gone"), "Tokenizer": ["not its files"]}
    assert await remote.refresh(app(ingress="Tokenizer")) == "not its files"
    assert "can't look at its files: gone" in caplog.text


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
    assert await remote.refresh(app(running=0)) == ""
    assert told[1] == []
