"""Routers with live changes, a Steward and Serve's word, without Ray between them."""

import asyncio
import contextlib

from ray.exceptions import RayError

from serve_app.config import Admin, RouterUserConfig, parse
from serve_app.deployments.changing import Changing
from serve_app.deployments.live import LiveChanges
from serve_app.deployments.steward import _outcome
from serve_app.releases.asked import Asked
from serve_app.releases.change import Change
from serve_app.releases.judged import Ack
from serve_app.releases.steward import Steward as Holder
from tests.unit.deployments.conducted import Setup, app
from tests.unit.releases.stewarded import Kept


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
        state = await self.holder.follow(router, seen, Ack.of(ack), 0.05)
        return state.encoded() if state.generation != seen else b""

    async def _serves(self, router, ack):
        await self.holder.serves(router, Ack.of(ack))

    async def _shadowed(self, model):
        return self.holder.shadowed(model)

    async def _drop(self, model, over):
        return await _outcome(self.holder.drop(model, over))

    async def _redirect(self, model, over):
        return await _outcome(self.holder.redirect(model, over))

    async def _begin(self, model, rollout):
        return await _outcome(self.holder.rollouts.begin(model, **rollout))

    async def _act(self, model, verb, by, id=""):
        return await _outcome(self.holder.rollouts.act(model, verb, by, id))

    async def _rollouts(self):
        return {model: one.summary for model, one in self.holder.rollouts.all().items()}

    async def _configured(self, models):
        return await _outcome(self.holder.rollouts.configured(dict.fromkeys(models)))

    async def _known(self, models):
        return await _outcome(self.holder.rollouts.known(models))

    async def _evidence(self, router, said):
        self.holder.rollouts.hear(router, said)

    async def _note(self, line):
        await self.holder.note(line)

    async def _change(self, plain):
        return await _outcome(self.holder.change(Change.of(plain)))

    async def _upload(self, digest, whole):
        return await _outcome(self.holder.brought.keep(digest, whole))

    async def _uploaded(self, digest):
        return await self.holder.brought.kept(digest)


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

    def deploy(self, *models: dict, apps: dict | None = None, **more) -> None:
        """As Serve does it: the user_config, then a look at the status."""
        if apps is not None:
            self.found = {name: details(args) for name, args in apps.items()}
        config = parse(RouterUserConfig, {"models": list(models), **more})
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


class World:
    """Routers by name, and the one Steward. `kill` and `start` are of Routers."""

    def __init__(self, folder) -> None:
        self.handle = Handle(Kept(), set())
        self.handle.store.most = 10**9
        self._folder = folder
        self.made: list[Router] = []

    def __call__(self, name: str) -> Router:
        self.made.append(Router(name, self.handle, self._folder / name))
        self.handle.routers.add(name)
        return self.made[-1]
