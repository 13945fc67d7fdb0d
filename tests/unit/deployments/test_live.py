"""A Router with live changes: a real conductor and a real Steward, without Ray between them."""

import asyncio
from dataclasses import asdict

import pytest

from serve_app.config import Admin, parse
from serve_app.core import later
from serve_app.deployments import live as module
from serve_app.errors import InvalidArgument, NotFound, Unavailable
from tests.unit.deployments.conducted import double, failing
from tests.unit.releases.stewarded import Kept
from tests.unit.repository.stores import Memory
from tests.unit.waiting import until


async def test_unload_and_load_are_served_by_all_when_they_are_answered(world):
    one, two = world("r1"), world("r2")
    for router in (one, two):
        await router.start(double("a"), double("b"))
    await one.do("unload", "a")
    assert [router.serves("a") for router in (one, two)] == [0, 0]
    assert [router.serves("b") for router in (one, two)] == [2, 2]
    assert two.setup.plane.repository_index()[-1] == {
        "name": "a", "version": "", "state": "UNAVAILABLE", "reason": "unloaded",
    }  # fmt: skip
    assert all(row["name"] != "a" for row in two.setup.plane.repository_index(only_ready=True))
    with pytest.raises(NotFound, match="it was unloaded"):
        one.directory.model("a")
    await two.do("load", "a")
    assert [router.serves("a") for router in (one, two)] == [2, 2]


async def test_keys_of_a_request_until_a_deploy_changes_the_model(world):
    router = world("r1")
    await router.start(double("a"), double("b"))
    await router.do("load", "a", config={"options": {"by": 7}})
    assert router.serves("a") == 7
    router.deploy(double("a"), double("b", 5))  # another one's entry
    await router.conductor.adopted()
    assert (router.serves("a"), router.serves("b")) == (7, 5)
    router.deploy(double("a", 3), double("b", 5))
    await router.conductor.adopted()
    assert router.serves("a") == 3
    await until(lambda: not world.handle.holder.state.layer)
    router.deploy(double("a"), double("b", 5))  # back again: what was done is forgotten
    await router.conductor.adopted()
    assert router.serves("a") == 2


async def test_what_a_deploy_dropped_is_kept_when_that_can_be(world):
    """A place that can be read, and not written for a while."""
    router = world("r1")
    await router.start(double("a"))
    await router.do("load", "a", config={"options": {"by": 7}})
    world.handle.store.away = True
    router.deploy(double("a", 3))
    await router.conductor.adopted()
    await asyncio.sleep(0.05)
    assert world.handle.holder.state.layer
    world.handle.store.away = False
    await until(lambda: not world.handle.holder.state.layer)


async def test_the_audit_is_the_stewards_or_what_was_heard_of_it(world):
    router = world("r1")
    await router.start(double("a"))
    await router.do("unload", "a")
    found = await router.changing.audit()
    assert (found["router"], found["generation"]) == ("r1", 1)
    assert [line["outcome"] for line in found["audit"]] == ["served"]
    world.handle.kill()
    assert len((await router.changing.audit())["audit"]) == 1


async def test_what_cant_be_loaded_leaves_what_was_there(world):
    one, two = world("r1"), world("r2")
    for router in (one, two):
        await router.start(double("a"))
    with pytest.raises(InvalidArgument, match="failed to load 'a'"):
        await one.do("load", "a", config={"class": failing()["class"]})
    for router in (one, two):
        assert router.serves("a") == 2
        assert router.conductor.inline.hosts["a"].config.class_path == double()["class"]
    with pytest.raises(InvalidArgument, match="failed to load 'new'"):
        await one.do("load", "new", config=failing("new"))
    assert "new" not in one.directory.models
    await one.do("load", "new", config=double("new", 4))
    assert two.serves("new") == 4
    await one.do("unload", "new")
    with pytest.raises(NotFound):
        await one.do("load", "new")


async def test_a_broken_version_is_in_nobodys_way_but_is_named(world, tmp_path):
    """By the policy `all`, 3 can't be loaded: neither a load of 2 nor an unload asked for it."""
    for version in ("1", "2", "3"):
        (tmp_path / "m" / version).mkdir(parents=True)
    for version in ("1", "2"):
        (tmp_path / "m" / version / "text").write_text("some")
    router = world("r1")
    reads = {
        "name": "t", "modelFormat": "python", "class": "tests.serve.models:Reads",
        "storageUri": str(tmp_path / "m"),
    }  # fmt: skip
    await router.start(reads)
    with pytest.raises(InvalidArgument, match=r"version 3: .*; served: version 1, 2 \(Router r1\)"):
        await router.do("load", "t")
    await router.do("load", "t", version="2")
    with pytest.raises(InvalidArgument, match="version 3: "):
        await router.do("load", "t", version="3")
    assert list(router.directory.models["t"].versions) == ["1", "2"]
    await router.do("unload", "t")
    with pytest.raises(InvalidArgument, match=r"served: version 1, 2"):
        await router.do("load", "t")  # and yet it is back
    assert list(router.directory.models["t"].versions) == ["1", "2"]
    assert world.handle.holder.state.layer == {}


async def test_a_new_router_serves_what_was_done_from_its_first_moment(world):
    one = world("r1")
    await one.start(double("a"), double("b"))
    await one.do("unload", "a")
    await one.do("load", "b", config={"options": {"by": 9}})
    two = world("r2")
    world.handle.kill()  # even without a Steward
    await two.start(double("a"), double("b"))
    assert (two.serves("a"), two.serves("b")) == (0, 9)


async def test_a_router_of_a_machine_without_the_folder_asks_the_steward(world):
    one = world("r1")
    one.changing._admin = parse(Admin, {"allow": {"classes": ["tests.serve.models"]}})
    await one.start(double("a"))
    reads = {"name": "t", "modelFormat": "python", "class": "tests.serve.models:Reads"}
    await one.do("load", "t", config=reads, files={"3/text": b"hello"})
    two = world("r2")
    two.live._store = Kept()  # a folder of its own, and empty
    await two.start(double("a"))
    assert list(two.directory.models["t"].versions) == ["3"]


async def test_while_the_place_is_away_the_steward_knows_it(world, monkeypatch):
    one = world("r1")
    await one.start(double("a"))
    await one.do("unload", "a")

    def away(name):
        raise OSError("the bucket is away")

    monkeypatch.setattr(world.handle.store, "get", away)
    two = world("r2")
    await two.start(double("a"))
    assert two.serves("a") == 0


async def test_a_router_doesnt_start_without_the_state(world, monkeypatch):
    monkeypatch.setattr(module, "FIRST_S", 0.05)
    router = world("r1")
    world.handle.store.data["state.json"] = b"{"
    world.handle.kill()
    with pytest.raises(Unavailable, match="the desired state can't be read"):
        await router.start(double("a"))


async def test_a_steward_that_is_killed_in_the_middle_is_asked_again(world):
    router = world("r1")
    await router.start(double("a"))
    handle = world.handle
    put, loop = handle.store.put, asyncio.get_running_loop()

    def written_and_killed(name, data):
        put(name, data)
        handle.store.put = put
        loop.call_soon_threadsafe(handle.kill)

    handle.store.put = written_and_killed
    asked = asyncio.create_task(router.do("unload", "a"))
    await until(lambda: not handle.alive)
    assert router.serves("a") == 2
    handle.start()
    resumed = asyncio.create_task(handle.holder.resume())
    await asked
    await resumed
    assert router.serves("a") == 0
    assert handle.holder.state.generation == 1


async def test_without_a_steward_what_is_served_stays(world):
    router = world("r1")
    await router.start(double("a"))
    await router.do("load", "a", config={"options": {"by": 7}})
    world.handle.kill()
    await asyncio.sleep(0.05)
    assert router.serves("a") == 7
    router.deploy(double("a"), double("b"))  # a deploy goes on, too
    await router.conductor.adopted()
    assert (router.serves("a"), router.serves("b")) == (7, 2)


async def test_a_model_with_processes_of_its_own_is_hidden_and_comes_back(world):
    router = world("r1")
    await router.start(double("a"), apps={"m": {"x": 1}, "n": {}})
    await until(lambda: router.directory.models["m"].ready)
    await router.do("unload", "m")
    assert set(router.directory.models) == {"a", "n"}
    asked = len(router.setup.asked.apps)
    await router.do("load", "m")
    assert router.directory.models["m"].ready
    assert world.handle.rereads == ["m"]
    assert len(router.setup.asked.apps) > asked
    await router.do("unload", "m")
    router.deploy(double("a"), apps={"m": {"x": 2}, "n": {}})
    await until(lambda: "m" in router.directory.models)


async def test_files_that_came_are_loaded_by_every_router(world, tmp_path):
    one, two = world("r1"), world("r2")
    reads = {"name": "t", "modelFormat": "python", "class": "tests.serve.models:Reads"}
    for router in (one, two):
        router.changing._admin = parse(Admin, {"allow": {"classes": ["tests.serve.models"]}})
        await router.start(double("a"))
    await one.do("load", "t", config=reads, files={"3/text": b"hello"})
    for router in (one, two):
        assert list(router.directory.models["t"].versions) == ["3"]
    three = world("r3")
    await three.start(double("a"))
    assert list(three.directory.models["t"].versions) == ["3"]
    (folder,) = (tmp_path / "r3").iterdir()
    assert (folder / "3" / "text").read_bytes() == b"hello"


async def test_where_models_lie_is_told_for_the_poller(world, tmp_path):
    router = world("r1")
    (tmp_path / "m").mkdir()
    model = {**double("a"), "storageUri": str(tmp_path / "m")}
    await router.start(model, apps={"m": {"storageUri": "s3://b/m"}})
    assert asdict(router.live.ack())["places"] == {"a": str(tmp_path / "m"), "m": "s3://b/m"}


class Away(Memory):
    """A store that can be away."""

    away = False

    def top(self):
        if self.away:
            raise ConnectionError("no route to host")
        return super().top()


async def test_a_load_whose_store_is_away_is_refused_and_made_up_for(world, tmp_path, monkeypatch):
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0)
    monkeypatch.setattr(later, "FIRST_S", 0.2)
    store = Away({"1/by": b"10"})
    monkeypatch.setattr("serve_app.repository.fetching.store", store)
    about = {"name": "a", "modelFormat": "python", "storageUri": "s3://bucket/m",
             "class": "tests.unit.runtimes.test_versions_apart:Times"}  # fmt: skip
    router = world("r1")
    await router.start(about)
    store.files["2/by"], store.away = b"20", True
    with pytest.raises(InvalidArgument, match=r"no route to host \(Router r1\)$"):
        await router.do("load", "a")
    assert await router.setup.answer("a") == 10
    store.away = False
    await until(lambda: ("a", "2", "READY") in router.setup.index())
    assert await router.setup.answer("a") == 20
    assert router.live.ack().failed == {}


async def test_replicas_that_refuse_a_load_are_asked_what_they_came_to(world, monkeypatch):
    router = world("r1")
    await router.start(apps={"m": {"storageUri": "s3://bucket/m"}})

    async def refused(model, generation):
        return "its store can't be asked"

    monkeypatch.setattr(world.handle.holder, "_reread", refused)
    await router.conductor.described()
    asked = len(router.setup.asked.apps)
    with pytest.raises(InvalidArgument, match="its store can't be asked"):
        await router.do("load", "m")
    await until(lambda: len(router.setup.asked.apps) > asked)
    await until(lambda: router.conductor.applications.ordered)  # for those that come up later
