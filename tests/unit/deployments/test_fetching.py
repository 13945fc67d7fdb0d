"""Inline models whose files are fetched: how far they are, and given up when they aren't wanted."""

import threading

import pytest

from serve_app.errors import NotFound, Unavailable
from tests.unit.deployments.conducted import double
from tests.unit.held import soon
from tests.unit.repository.stores import Memory
from tests.unit.waiting import until

DATA = b"x" * 4_000_000


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Sends 1.2 MB, then waits for `more`."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("serve_app.repository.progress.TOLD_S", 0)
    made = Memory({"1/model": DATA, "2/other": b"y"})
    monkeypatch.setattr("serve_app.repository.fetching.store", made)
    made.more, made.ended = threading.Event(), threading.Event()

    def spoil(path, start, data):
        try:
            yield data[:1_200_000]
            while not made.more.wait(0.01):
                yield b""
            yield data[1_200_000:]
        finally:
            made.ended.set()

    made.spoil = spoil
    yield made
    made.more.set()


async def test_the_reason_says_how_far_it_is(it, store):
    it.configure(double("a", storageUri="s3://bucket/m", versions=["1"]), double("b"))
    await until(lambda: it.plane.directory.models["a"].reason == "fetching 1.2 of 4.0 MB")
    with pytest.raises(Unavailable, match=r"fetching 1.2 of 4.0 MB"):
        await it.answer("a")
    store.more.set()
    await soon(it.conductor.adopted())
    assert await it.answer("a") == 2
    assert it.plane.model_metadata("a", "")["properties"]["checksum"].startswith("sha256:")


async def test_what_isnt_wanted_any_more_isnt_fetched(it, store, monkeypatch):
    monkeypatch.setattr("serve_app.deployments.inline.BESIDE_S", 0.05)
    it.configure(double("a", storageUri="s3://bucket/m", versions=["1"]), double("b"))
    await until(lambda: it.plane.directory.models["a"].reason == "fetching 1.2 of 4.0 MB")
    it.configure(double("b"))
    await soon(it.conductor.adopted())
    await until(store.ended.is_set)
    with pytest.raises(NotFound):
        await it.answer("a")
    store.more.set()
    it.configure(double("a", storageUri="s3://bucket/m", versions=["1"]))
    await soon(it.conductor.adopted())
    assert await it.answer("a") == 2
    assert [start for _, start in store.asked] == [0, 1_200_000]


async def test_beside_what_serves_the_index_says_how_far_a_change_is(it, store):
    store.more.set()
    await it.serve(double("a", storageUri="s3://bucket/m", versions=["2"]))
    store.more.clear()
    it.configure(double("a", storageUri="s3://bucket/m", versions=["1", "2"]))
    await until(lambda: it.plane.directory.models["a"].coming == "fetching 1.2 of 4.0 MB")
    assert it.index() == [("a", "2", "READY"), ("a", "", "LOADING")]
    assert it.plane.repository_index()[1]["reason"] == "fetching 1.2 of 4.0 MB"
    assert [row["version"] for row in it.plane.repository_index(only_ready=True)] == ["2"]
    assert await it.answer("a") == 2
    store.more.set()
    await soon(it.conductor.adopted())
    assert it.index() == [("a", "1", "READY"), ("a", "2", "READY")]


async def test_what_served_goes_on_where_the_new_one_cannot_be_fetched(it, store):
    store.more.set()
    await it.serve(double("a", storageUri="s3://bucket/m", versions=["1"]))
    store.top = lambda: (_ for _ in ()).throw(PermissionError("Access Denied"))
    await it.serve(double("a", 5, storageUri="s3://bucket/m", versions=["2"]))
    assert await it.answer("a") == 2
    assert (
        "no permission: PermissionError: Access Denied" in it.plane.directory.models["a"].refused.reason
    )
