"""Where the state is kept: folders, and buckets by fsspec's own in memory."""

import os
import threading

import pytest

from serve_app.errors import ConfigError
from serve_app.releases.store import Bucket, Folder, store_at


@pytest.fixture(params=["path", "file", "bucket"])
def store(request, tmp_path):
    place = tmp_path / "below" / "state"
    uris = {"path": str(place), "file": place.as_uri(), "bucket": f"memory://{tmp_path}/state"}
    return store_at(uris[request.param])


def test_what_is_put_is_got(store):
    assert store.get("state.json") is None
    assert store.names() == []
    store.put("state.json", b"one")
    store.put("upload-1", b"\0" * 1000)
    store.put("state.json", b"two")
    assert store.get("state.json") == b"two"
    assert sorted(store.names()) == ["state.json", "upload-1"]
    store.delete("upload-1")
    store.delete("upload-1")
    assert store.names() == ["state.json"]


def test_which_is_which(tmp_path):
    assert isinstance(store_at("relative"), Folder)
    assert isinstance(store_at("memory://x"), Bucket)
    with pytest.raises(ConfigError, match="stateUri"):
        store_at("nosuch://user:secret@x")


def test_a_reader_sees_the_old_or_the_new_and_nothing_between(tmp_path):
    store = Folder(tmp_path)
    one, two = b"a" * 200_000, b"b" * 300_000
    store.put("x", one)
    over, seen = threading.Event(), set()

    def read():
        while not over.is_set():
            seen.add(store.get("x"))

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(20):
        store.put("x", two)
        store.put("x", one)
    over.set()
    thread.join()
    assert seen <= {one, two}


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    store = Folder(tmp_path)
    store.put("x", b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put("x", b"new")
    assert (store.get("x"), store.names()) == (b"old", ["x"])
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_others_cant_read_it(tmp_path):
    store = store_at(str(tmp_path / "state"))
    store.put("x", b"")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / "x").stat().st_mode & 0o077 == 0
