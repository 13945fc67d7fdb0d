import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from serve_app.core import later
from serve_app.demo.build import build
from tests.unit.repository.stores import Troubled

# No deadline: the machine may be busy. No database: a failure prints the blob that repeats it.
settings.register_profile(
    "unit",
    deadline=None,
    database=None,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def demo_models() -> Path:
    """The demo models, built on first use as `tandem models` does."""
    folder = Path(__file__).parents[2] / ".models"
    build(folder)
    return folder


@pytest.fixture(autouse=True)
def the_log_as_it_was() -> Iterator[None]:
    """Commands that run in the tests' own process say how much is logged: not for what comes after."""
    log = logging.getLogger("tandem")
    before = log.level, log.propagate, log.disabled
    yield
    log.setLevel(before[0])
    log.propagate, log.disabled = before[1:]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Troubled:
    """What every storageUri of another machine leads to: a model's first version, by 10."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0)
    made = Troubled({"1/by": b"10"})
    monkeypatch.setattr("serve_app.repository.fetching.store", made)
    return made


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails for now is tried again in a moment."""
    monkeypatch.setattr(later, "FIRST_S", 0.01)
