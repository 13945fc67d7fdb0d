"""The batcher's time."""

import pytest

from tests.unit.core.clock import Clock


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    for module in ("batching", "gathering"):
        monkeypatch.setattr(f"serve_app.core.{module}.time", made)
    return made
