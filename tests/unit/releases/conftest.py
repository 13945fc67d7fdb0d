"""A Steward that looks often."""

import pytest

from serve_app.releases import steward
from tests.unit.releases.stewarded import World


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(steward, "LOOK_S", 0.01)
    return World()
