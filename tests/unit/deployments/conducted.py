"""A conductor over in-process models and applications of the test's own."""

import asyncio
import dataclasses
from collections.abc import Callable

from serve_app.config import RouterUserConfig, parse
from serve_app.core.dataplane import DataPlane
from serve_app.deployments.conductor import Conductor
from serve_app.releases.applications import RemoteApp
from tests.unit.held import soon
from tests.unit.planes import Backend, call, description, plane, targets, tensor

ROW = [[1.0, 2.0]]


def double(name: str = "a", by: int = 2, **more) -> dict:
    about = {"name": name, "modelFormat": "python", "class": "tests.unit.models:Double"}
    return {**about, "options": {"by": by}, **more}


def slow(name: str = "a", by: int = 2) -> dict:
    """One that loads when the test opens its gate, which is its name."""
    options = {"gate": name, "by": by}
    return {**double(name), "class": "tests.unit.models:Slow", "options": options}


def failing(name: str = "a") -> dict:
    return {"name": name, "modelFormat": "python", "class": "tests.unit.models:Refuses"}


def app(name: str = "m", **changes) -> RemoteApp:
    """An application that runs."""
    made = RemoteApp(name, "ModelReplica", "RUNNING", "", 1, stamp=1.0, model=name)
    return dataclasses.replace(made, **changes)


class Asked:
    """Answers what applications are: at once with `versions`, or when the test says."""

    def __init__(self) -> None:
        self.apps: list[RemoteApp] = []
        self.versions: dict[str, tuple[str, ...]] = {}
        self.held: dict[str, asyncio.Future] = {}
        self.replica = ""  # who answers
        self.abandon: Callable[[], None] | None = None
        self.backends: dict[str, Backend] = {}
        self.refused: dict[str, str] = {}
        self.failed: dict[str, dict[str, str]] = {}
        self.loaded = self.again = 0.0

    def hold(self, name: str) -> asyncio.Future:
        """Let the next questions wait for the future."""
        self.held[name] = asyncio.get_running_loop().create_future()
        return self.held[name]

    async def __call__(self, one: RemoteApp):
        self.apps.append(one)
        if future := self.held.get(one.name):
            await future
        versions = self.versions.get(one.name, ("1",))
        backend = self.backends.get(one.name) or Backend()
        about = description(one.model, versions=versions, max_batch_size=1, replica=self.replica)
        about.failed = self.failed.get(one.name, {})
        about.refused, about.loaded = self.refused.get(one.name, ""), self.loaded
        about.again = self.again
        made = targets(backend, versions)
        return about, {
            version: dataclasses.replace(target, abandon=self.abandon)
            for version, target in made.items()
        }


class Setup:
    """A conductor, what it was told and what it tells."""

    def __init__(self) -> None:
        self.plane: DataPlane = plane()
        self.asked = Asked()
        self.adopted: list[RouterUserConfig] = []
        self.conductor = Conductor(self.plane, self.asked, False, self.adopted.append)

    def configure(self, *models: dict, **more) -> None:
        self.conductor.configure(parse(RouterUserConfig, {"models": list(models), **more}))

    async def serve(self, *models: dict, **more) -> None:
        """Configure, and wait until it is served."""
        self.configure(*models, **more)
        await soon(self.conductor.adopted())

    async def follow(self, *apps: RemoteApp) -> None:
        """Serve's status, and what it leads to."""
        self.look(*apps)
        await soon(self.conductor.described())

    def look(self, *apps: RemoteApp) -> None:
        self.conductor.follow({one.name: one for one in apps})

    async def answer(self, name: str = "a", version: str = "") -> float:
        response = await soon(self.plane.infer(call(tensor(ROW), model=name, version=version)))
        return response.outputs[0].data[0, 0]

    def index(self) -> list[tuple[str, str, str]]:
        return [(row["name"], row["version"], row["state"]) for row in self.plane.repository_index()]


async def settled() -> None:
    """Every task had its turns."""
    for _ in range(20):
        await asyncio.sleep(0)


async def unwanted(it: Setup) -> None:
    """Nothing is under way any more."""
    while it.conductor.background.tasks:
        await soon(asyncio.wait(set(it.conductor.background.tasks)))
