"""`swap: replace`: the version of before is dropped first, and requests wait for the next one."""

import asyncio
import threading
from typing import ClassVar

import pytest

from serve_app.config import ModelConfig, parse
from serve_app.core import later
from serve_app.errors import Unavailable, VersionGone
from serve_app.runtimes.current import CurrentHost
from tests.unit.deployments.conducted import ROW, Setup, unwanted
from tests.unit.held import soon
from tests.unit.planes import call, tensor
from tests.unit.runtimes.test_versions_apart import X, write
from tests.unit.waiting import until


class Alone:
    """One of these is in memory at a time, or it says so; it loads when `gate` lets it."""

    there: ClassVar[int] = 0
    gate: ClassVar[threading.Event] = threading.Event()

    def load(self, folder):
        Alone.there += 1
        assert Alone.there == 1, "two at a time"
        assert self.gate.wait(20)
        try:
            self.by = int((folder / "by").read_text())
        except ValueError:
            Alone.there -= 1
            raise

    def predict(self, inputs, parameters):
        return {"y": inputs["x"] * self.by}

    def close(self):
        Alone.there -= 1


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "1", "10")
    Alone.there = 0
    Alone.gate.set()
    return tmp_path


def model(folder, **more) -> dict:
    return {"name": "a", "modelFormat": "python", "class": f"{__name__}:Alone", "swap": "replace",
            "storageUri": str(folder), "versions": "latest", **more}  # fmt: skip


async def deploy(it: Setup) -> None:
    it.conductor._deployed += 1
    it.conductor.follow({}, deployed=it.conductor._deployed + 1)
    await asyncio.sleep(0)


async def done(it: Setup) -> None:
    await unwanted(it)
    await soon(it.conductor.adopted())


async def test_requests_wait_for_the_next_one(it: Setup, folder):
    await it.serve(model(folder))
    assert await it.answer() == 10
    Alone.gate.clear()
    write(folder, "2", "20")
    await deploy(it)
    await soon(until(lambda: it.conductor.inline.ways))
    asked = [asyncio.create_task(it.answer()) for _ in range(20)]
    named = asyncio.create_task(it.answer("a", "2"))
    late = it.plane.infer(call(tensor(ROW), model="a", parameters={"timeout": 10_000}))
    with pytest.raises(Unavailable, match=r"wasn't loaded within 0\.01 s") as refused:
        await soon(late)
    assert refused.value.retry_after > 0
    assert it.plane.model_ready("a")
    Alone.gate.set()
    assert await soon(asyncio.gather(*asked, named)) == [20] * 21
    await done(it)
    assert (it.index(), Alone.there) == ([("a", "2", "READY")], 1)


async def test_what_was_dropped_comes_back_where_the_next_one_cannot_be_loaded(it: Setup, folder):
    await it.serve(model(folder))
    Alone.gate.clear()
    write(folder, "2", "broken")
    await deploy(it)
    await soon(until(lambda: it.conductor.inline.ways))
    asked = [asyncio.create_task(it.answer()) for _ in range(5)]
    Alone.gate.set()
    assert await soon(asyncio.gather(*asked)) == [10] * 5
    await done(it)
    assert it.index() == [("a", "1", "READY"), ("a", "2", "UNAVAILABLE")]
    assert "version 2: ValueError" in it.plane.changes()["models"]["a"]
    write(folder, "2", "20")
    await deploy(it)
    await done(it)
    assert (await it.answer(), Alone.there) == (20, 1)


async def test_so_it_does_where_another_configuration_cannot_be_loaded(it: Setup, folder):
    write(folder, "2", "broken")
    await it.serve(model(folder, versions=["1"]))
    await it.serve(model(folder, versions=["2"]))
    assert (await it.answer(), Alone.there) == (10, 1)
    assert it.index() == [("a", "1", "READY"), ("a", "2", "UNAVAILABLE")]
    assert "version 2: ValueError" in it.plane.changes()["models"]["a"]
    write(folder, "2", "20")
    await it.serve(model(folder, versions=["2"]), generation=2)
    assert (await it.answer(), Alone.there) == (20, 1)


async def test_in_a_replica_a_listed_one_comes_back(folder):
    made = await current(folder, versions=["1"])
    write(folder, "1", "broken")
    assert "version 1: ValueError" in await soon(made.refresh(1.0))
    with pytest.raises(VersionGone):
        await made.predict("1", X, {})
    write(folder, "1", "11")
    assert await soon(made.refresh(2.0)) == ""
    assert (await made.predict("1", X, {}))["y"][0, 0] == 11


async def test_where_neither_can_be_loaded_it_says_why(it: Setup, folder):
    await it.serve(model(folder))
    write(folder, "1", "broken")
    await deploy(it)
    await done(it)
    with pytest.raises(Unavailable, match="version 1: ValueError"):
        await it.answer()
    write(folder, "1", "11")
    await deploy(it)
    await done(it)
    assert await it.answer() == 11


async def test_what_needs_no_room_is_dropped_for_nothing(it: Setup, folder):
    await it.serve(model(folder))
    version = it.plane.directory.model("a").pick()
    await it.serve(model(folder, versions=["1"]), model(folder, name="b", swap="beside", revision="b",
                   **{"class": "tests.unit.models:Double", "storageUri": None}))  # fmt: skip
    assert it.plane.directory.model("a").pick() is version


async def current(folder, **more) -> CurrentHost:
    made = CurrentHost(parse(ModelConfig, model(folder, **more)), False, lambda name, some: None)
    await asyncio.to_thread(made.host.load)
    return made


async def test_in_a_replica_batches_wait(folder):
    made = await current(folder)
    Alone.gate.clear()
    write(folder, "1", "11")
    refreshing = asyncio.create_task(made.refresh(1.0))
    await soon(until(lambda: made._gap is not None and not made.host.versions))
    asked = [asyncio.create_task(made.predict("1", X, {})) for _ in range(5)]
    await asyncio.sleep(0)
    Alone.gate.set()
    assert await soon(refreshing) == ""
    assert [one["y"][0, 0] for one in await soon(asyncio.gather(*asked))] == [11] * 5
    assert (made.loaded, Alone.there) == (1.0, 1)


async def test_in_a_replica_it_comes_back(folder):
    made = await current(folder)
    write(folder, "2", "broken")
    assert await soon(made.refresh(1.0)) == ""
    assert "version 2: ValueError" in made.host.failed["2"]
    assert (await made.predict("1", X, {}))["y"][0, 0] == 10
    assert list(made.host.versions) == ["1"]
    write(folder, "2", "20")
    assert await soon(made.refresh(2.0)) == ""
    assert (await made.predict("2", X, {}))["y"][0, 0] == 20
    assert Alone.there == 1


async def test_nothing_is_dropped_again_and_again_for_what_fails_for_now(it: Setup, folder, monkeypatch):
    monkeypatch.setattr(later, "FIRST_S", 0.01)
    loaded: list[str] = []

    def load(self, where):
        loaded.append(where.name)
        if where.name == "2":
            raise ConnectionRefusedError(111, "Connection refused")
        self.by = int((where / "by").read_text())

    monkeypatch.setattr(Alone, "load", load)
    await it.serve(model(folder))
    write(folder, "2", "20")
    await deploy(it)
    await done(it)
    await asyncio.sleep(0.1)
    assert loaded == ["1", "2", "1"]  # it came back, and stays
    assert await it.answer() == 10
    current = CurrentHost(parse(ModelConfig, model(folder)), False, lambda name, made: None)
    (folder / "2" / "by").unlink()
    (folder / "2").rmdir()
    await current.load()
    write(folder, "2", "20")
    await soon(current.refresh(1.0))
    assert "Connection refused" in current.host.failed["2"]
    assert (current.again, list(current.host.versions)) == (0, ["1"])
