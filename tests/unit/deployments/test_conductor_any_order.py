"""Whatever happens, and in whatever order: in the end there is what is wanted, and nothing else."""

import asyncio
import dataclasses
import random
import threading

import pytest

from serve_app.errors import Unavailable
from serve_app.releases.applications import RemoteApp
from serve_app.releases.telling import Told
from tests.unit.deployments.conducted import Setup, app, double, failing, slow, unwanted
from tests.unit.held import soon
from tests.unit.models import Slow
from tests.unit.planes import Backend, description, targets
from tests.unit.waiting import until

NAMES = ("a", "b", "c")
STATUSES = ["RUNNING"] * 4 + ["DEPLOYING", "DEPLOY_FAILED", "UNHEALTHY"]


class Events:
    """What may happen to a Router, by chance: a method each."""

    def __init__(self, it: Setup, seed: int) -> None:
        self.it, self.chance = it, random.Random(seed)
        self.inline: dict[str, dict] = {}
        self.apps: dict[str, RemoteApp] = {}
        self.held: list[asyncio.Future] = []
        self.calm, self.deploys = False, 0
        self.loadable: set[str] = set()  # inline models of which one could have been loaded
        it.conductor.applications.ask, it.conductor.applications.refresh = self.asked, self.told
        for name in NAMES:
            Slow.gates[name] = threading.Event()

    async def asked(self, one: RemoteApp):
        if not self.calm and self.chance.random() < 0.6:
            self.held.append(future := asyncio.get_running_loop().create_future())
            await future
        if not self.calm and self.chance.random() < 0.15:
            raise Unavailable("not yet")
        return description(one.model, versions=("1",)), targets(Backend(), ("1",))

    async def told(self, one: RemoteApp, moment: float, late: bool) -> Told:
        if not self.calm and self.chance.random() < 0.5:
            self.held.append(future := asyncio.get_running_loop().create_future())
            await future
        chosen = one.replicas if self.calm or self.chance.random() < 0.7 else frozenset[str]()
        again = 0.001 if not self.calm and self.chance.random() < 0.3 else 0.0
        return Told(chosen, "not yet" if again else "", again)

    def configured(self) -> None:
        by = self.chance.randint(2, 5)
        kinds = [lambda name: double(name, by), lambda name: slow(name, by), failing]
        wanted = [name for name in NAMES if self.chance.random() < 0.4]
        self.inline = {name: self.chance.choice(kinds)(name) for name in wanted}
        # What isn't wanted stays until Serve was looked at: an application may take its place.
        self.loadable &= self.inline.keys() | self.it.conductor.inline.hosts.keys()
        self.loadable |= {name for name, about in self.inline.items() if "options" in about}
        self.it.configure(*self.inline.values())

    def deployed(self) -> None:
        name = self.chance.choice(NAMES)
        status = self.chance.choice(STATUSES)
        running = 0 if status in ("DEPLOY_FAILED", "UNHEALTHY") else self.chance.randint(1, 2)
        model = self.chance.choice([name, *NAMES])
        self.deploys += self.chance.random() < 0.7
        self.apps[name] = app(
            name,
            status=status,
            running=running,
            model=model,
            stamp=float(self.deploys),
            replicas=frozenset(f"{name}{number}" for number in range(running)),
        )
        self.look()

    def deleted(self) -> None:
        self.apps.pop(self.chance.choice(NAMES), None)
        self.look()

    def look(self) -> None:
        self.it.look(*self.apps.values())

    def loaded(self) -> None:
        Slow.gates[self.chance.choice(NAMES)].set()

    def answered(self) -> None:
        for future in self.held:
            if not future.done():
                future.set_result(None)

    async def pause(self) -> None:
        await asyncio.sleep(self.chance.random() * 0.004)

    async def end(self) -> None:
        """All goes well from now on."""
        self.calm = True
        for name in NAMES:
            Slow.gates[name].set()
        self.apps = {
            name: dataclasses.replace(
                one, status="RUNNING", running=1, replicas=frozenset(name), stamp=one.stamp + 100
            )
            for name, one in self.apps.items()
        }
        for _ in range(3):
            self.answered()
            self.look()
            await soon(self.it.conductor.described())
            await soon(self.it.conductor.adopted())
            await until(lambda: not self.it.conductor._actual.telling)
        await unwanted(self.it)


@pytest.mark.parametrize("seed", range(40))
async def test_in_the_end_there_is_what_is_wanted(it, seed):
    events = Events(it, seed)
    happen = [
        events.configured, events.deployed, events.deployed, events.deleted, events.loaded,
        events.loaded, events.answered, events.pause,
    ]  # fmt: skip
    for _ in range(events.chance.randint(3, 25)):
        if waiting := events.chance.choice(happen)():
            await waiting
    await events.end()

    loaded = {name for name, about in events.inline.items() if "options" in about}
    # One that can't be loaded leaves the one before it as it is, if that came so far.
    old = {name for name in events.inline if name not in loaded and name in it.conductor.inline.hosts}
    assert old <= events.loadable
    applications = {one.model for one in events.apps.values()}
    models = it.plane.directory.models
    assert models.keys() == applications | events.inline.keys()
    for name, model in models.items():
        sources = {one.name for one in events.apps.values() if one.model == name}
        inline = name in loaded | old
        assert model.answering() == ({""} if inline else sources)
        assert model.ready is (inline or bool(sources))
        if name in loaded:
            assert await it.answer(name) == events.inline[name]["options"]["by"]
    assert it.conductor.inline.hosts.keys() == loaded | old
    actual = it.conductor._actual
    told = {name: (one.stamp, one.replicas) for name, one in events.apps.items()}
    hidden = {name for name, one in events.apps.items() if one.model in loaded | old}
    assert {name: actual.told[name] for name in told.keys() - hidden} == {
        name: told[name] for name in told.keys() - hidden
    }
