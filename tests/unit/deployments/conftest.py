import threading

import pytest

from serve_app.deployments import conductor
from tests.unit.deployments.conducted import Setup
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
