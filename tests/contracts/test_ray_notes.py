"""Ray's key-value store, as notes are left in it."""

import inspect

import pytest
from ray.experimental import internal_kv

from serve_app.internals import ray_notes


def test_it_is_called_as_it_wants_to_be():
    put, get, remove = (getattr(internal_kv, f"_internal_kv_{one}") for one in ("put", "get", "del"))
    inspect.signature(put).bind(b"name", b"text", overwrite=True, namespace=b"tandem")
    inspect.signature(get).bind(b"name", namespace=b"tandem")
    inspect.signature(remove).bind(b"name", namespace=b"tandem")


@pytest.fixture
def kept(monkeypatch) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    monkeypatch.setattr(internal_kv, "_internal_kv_put", lambda k, v, **_: found.update({k: v}))
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda k, **_: found.get(k))
    monkeypatch.setattr(internal_kv, "_internal_kv_del", lambda k, **_: found.pop(k, None))
    return found


def test_notes(kept):
    tell = ray_notes.Teller("m")
    tell("fetching 1.2 of 4.0 GB")
    assert ray_notes.left(ray_notes.progress("m")) == "fetching 1.2 of 4.0 GB"
    tell.done()
    assert ray_notes.left(ray_notes.progress("m")) == ""


def test_a_deploy_after_a_try_began_is_heard_of_once(kept):
    tell = ray_notes.Teller("m")
    assert not tell.deployed(1000.0)
    ray_notes.call("m", 990.0)  # the one that brought it
    assert not tell.deployed(1000.0)
    ray_notes.call("m", 1000.5)
    assert [tell.deployed(1000.0), tell.deployed(1000.0)] == [True, False]
    ray_notes.call("m", 1004.5)  # by a clock that may be late
    assert [tell.deployed(1006.0), tell.deployed(1006.0)] == [True, False]
    ray_notes.call("n", 2000.0)
    assert not tell.deployed(1006.0)


def test_a_note_that_stands_isnt_written_again(kept, monkeypatch):
    ray_notes.call("m", 1000.5)
    monkeypatch.setattr(internal_kv, "_internal_kv_put", None)
    ray_notes.call("m", 1000.5)


def test_nobody_fails_for_a_note(monkeypatch):
    def away(*_, **__):
        raise RuntimeError("the head is away")

    monkeypatch.setattr(internal_kv, "_internal_kv_put", away)
    monkeypatch.setattr(internal_kv, "_internal_kv_get", away)
    tell = ray_notes.Teller("m")
    tell("fetching")
    assert not tell.deployed(0.0)


def test_what_was_never_said_costs_nothing(monkeypatch):
    monkeypatch.setattr(internal_kv, "_internal_kv_del", None)
    ray_notes.Teller("m").done()
