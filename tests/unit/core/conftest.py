"""The batcher's time."""

import pytest

from tests.unit.core.clock import Clock


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr("serve_app.core.batching.time", made)
    return made
