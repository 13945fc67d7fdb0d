import pytest

from serve_app.repository import downloads, fetching
from tests.unit.repository.stores import Memory


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of a cache of the test's own."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TANDEM_CACHE_LIMIT", raising=False)
    monkeypatch.setattr(downloads, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(fetching, "PAUSE_S", 0.001)
    return tmp_path / "cache"


@pytest.fixture
def memory(cache, monkeypatch):
    """`memory(files)` is the store that s3:// leads to."""

    def made(files):
        found = Memory(files)
        monkeypatch.setattr(fetching, "store", found)
        return found

    return made
