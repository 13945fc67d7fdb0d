"""A Router with live changes: a real conductor and a real Steward, without Ray between them."""

import asyncio
import contextlib
from dataclasses import asdict

import pytest
from ray.exceptions import RayError

from serve_app.config import Admin, RouterUserConfig, parse
from serve_app.deployments import live as module
from serve_app.deployments.changing import Changing
from serve_app.deployments.live import LiveChanges
from serve_app.errors import InvalidArgument, NotFound, Unavailable
from serve_app.releases.asked import Asked
from serve_app.releases.steward import Ack
from serve_app.releases.steward import Steward as Holder
from tests.unit.deployments.conducted import Setup, app, double, failing
from tests.unit.releases.test_steward import Kept
from tests.unit.waiting import until


class Killed(RayError):
    pass


class Method:
    def __init__(self, call) -> None:
        self.remote = call


class Handle:
    """A Steward as its handle gives it; `alive` says whether anybody answers."""

    def __init__(self, store: Kept, routers: set[str]) -> None:
        self.store, self.routers, self.alive = store, routers, True
        self.rereads: list[str] = []
        self.calls: set[asyncio.Task] = set()
        self.start()

    def kill(self) -> None:
        """Nothing of it goes on, and whoever waits is told."""
        self.alive = False
        for call in self.calls:
            call.cancel()

    def start(self) -> None:
        async def reread(model, generation):
            self.rereads.append(model)
            return ""

        self.holder = Holder(self.store, lambda: set(self.routers), reread, 5, lambda line: None)
        self.alive = True

    def __getattr__(self, name):
        async def call(*arguments):
            if not self.alive:
                raise Killed("the Steward died")
            task = asyncio.create_task(getattr(self, f"_{name}")(*arguments))
            self.calls.add(task)
            task.add_done_callback(self.calls.discard)
            await asyncio.wait([task])
            if task.cancelled():
                raise Killed("the Steward died")
            return task.result()

        return Method(call)

    async def _follow(self, router, seen, ack):
        return (await self.holder.follow(router, seen, Ack(**ack), 0.05)).encoded()

    async def _serves(self, router, ack):
        await self.holder.serves(router, Ack(**ack))

    async def _drop(self, model, over):
        await self.holder.drop(model, over)

    async def _note(self, line):
        await self.holder.note(line)

    async def _change(self, plain):
        from serve_app.deployments.steward import _outcome
        from serve_app.releases.change import Change

        return await _outcome(self.holder.change(Change.of(plain)))

    async def _upload(self, digest, whole):
        from serve_app.deployments.steward import _outcome

        return await _outcome(self.holder.upload(digest, whole))

    async def _uploaded(self, digest):
        return await self.holder.uploaded(digest)


class Router:
    """What a Router has of it, and applications that Serve would have."""

    def __init__(self, name: str, handle: Handle, folder) -> None:
        self.setup = Setup()
        self.setup.plane.router = name
        self.conductor, self.directory = self.setup.conductor, self.setup.plane.directory
        self.live = LiveChanges(name, handle, handle.store, self.conductor, self.directory, places=True)
        self.live.published.root = folder
        admin = parse(Admin, {"allow": {"classes": ["tests.unit.models"]}})
        self.changing = Changing(admin, self.live, handle, self.directory, lambda models: None)
        self.found: dict = {}
        self.task: asyncio.Task | None = None

    def deploy(self, *models: dict, apps: dict | None = None) -> None:
        """As Serve does it: the user_config, then a look at the status."""
        if apps is not None:
            self.found = {name: details(args) for name, args in apps.items()}
        config = parse(RouterUserConfig, {"models": list(models)})
        self.conductor.configure(self.live.over(config))
        self.look()

    def look(self) -> None:
        apps = {name: app(name, replicas=frozenset(["x"])) for name in self.found}
        shown = self.live.visible(self.found, apps, self.look)
        self.conductor.follow(shown)

    async def start(self, *models: dict, apps: dict | None = None) -> None:
        await self.live.first()
        self.deploy(*models, apps=apps)
        await self.conductor.adopted()
        self.task = asyncio.create_task(self.live.run())

    async def kill(self) -> None:
        if self.task:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task

    def serves(self, name: str) -> int:
        """By what a model multiplies; 0 where it isn't served."""
        model = self.directory.models.get(name)
        if model is None or not model.ready:
            return 0
        return self.conductor.inline.hosts[name].config.options.get("by", 2)

    async def do(self, verb: str, model: str, **more) -> None:
        await self.changing.apply(Asked(verb, model, **more), "me")


def details(args: dict) -> dict:
    """Serve's word of an application."""
    replica = {"replicas": [{"replica_id": "x", "state": "RUNNING"}], "message": ""}
    return {
        "status": "RUNNING", "message": "", "last_deployed_time_s": 1.0,
        "deployments": {"ModelReplica": replica}, "deployed_app_config": {"args": args},
    }  # fmt: skip


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    monkeypatch.setattr("serve_app.deployments.changing.PAUSE_S", 0.01)
    handle = Handle(Kept(), set())
    handle.store.most = 10**9
    made: list[Router] = []

    def router(name: str) -> Router:
        made.append(Router(name, handle, tmp_path / name))
        handle.routers.add(name)
        return made[-1]

    router.handle = handle
    yield router
    for one in made:
        await one.kill()


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


async def test_a_new_router_serves_what_was_done_from_its_first_moment(world):
    one = world("r1")
    await one.start(double("a"), double("b"))
    await one.do("unload", "a")
    await one.do("load", "b", config={"options": {"by": 9}})
    two = world("r2")
    world.handle.kill()  # even without a Steward
    await two.start(double("a"), double("b"))
    assert (two.serves("a"), two.serves("b")) == (0, 9)


async def test_a_router_doesnt_start_without_the_state(world, monkeypatch):
    monkeypatch.setattr(module, "FIRST_S", 0.05)
    router = world("r1")
    world.handle.store.data["state.json"] = b"{"
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
    assert asdict(router.live._ack())["places"] == {"a": str(tmp_path / "m"), "m": "s3://b/m"}
