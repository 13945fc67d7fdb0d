import threading

import pytest

from serve_app.deployments import conductor
from tests.unit.deployments.conducted import Setup
from tests.unit.deployments.living import World
from tests.unit.models import Slow


@pytest.fixture
def it(monkeypatch) -> Setup:
    monkeypatch.setattr(conductor, "freeze_gc", lambda youngest: None)
    return Setup()


@pytest.fixture
def gate():
    """Opens for models named `a` that are `slow`."""
    Slow.gates["a"] = opened = threading.Event()
    yield opened
    opened.set()
    Slow.failing.clear()


@pytest.fixture
async def world(tmp_path, monkeypatch):
    """Routers with live changes, and their Steward."""
    monkeypatch.setattr("serve_app.deployments.live.PAUSE_S", 0.01)
    monkeypatch.setattr("serve_app.deployments.changing.PAUSE_S", 0.01)
    monkeypatch.setattr("serve_app.releases.steward.LOOK_S", 0.01)
    made = World(tmp_path)
    yield made
    for router in made.made:
        await router.kill()
