"""Ray's key-value store, as notes are left in it."""

import inspect

from ray.experimental import internal_kv

from serve_app.internals import ray_notes


def test_it_is_called_as_it_wants_to_be():
    put, get, remove = (getattr(internal_kv, f"_internal_kv_{one}") for one in ("put", "get", "del"))
    inspect.signature(put).bind(b"name", b"text", overwrite=True, namespace=b"tandem")
    inspect.signature(get).bind(b"name", namespace=b"tandem")
    inspect.signature(remove).bind(b"name", namespace=b"tandem")


def test_notes(monkeypatch):
    kept = {}
    monkeypatch.setattr(internal_kv, "_internal_kv_put", lambda k, v, **_: kept.update({k: v}))
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda k, **_: kept.get(k))
    monkeypatch.setattr(internal_kv, "_internal_kv_del", lambda k, **_: kept.pop(k, None))
    tell = ray_notes.Teller("m")
    tell("fetching 1.2 of 4.0 GB")
    assert ray_notes.left(ray_notes.progress("m")) == "fetching 1.2 of 4.0 GB"
    tell.done()
    assert ray_notes.left(ray_notes.progress("m")) == ""


def test_nobody_fails_for_a_note(monkeypatch):
    def away(*_, **__):
        raise RuntimeError("the head is away")

    monkeypatch.setattr(internal_kv, "_internal_kv_put", away)
    ray_notes.Teller("m")("fetching")


def test_what_was_never_said_costs_nothing(monkeypatch):
    monkeypatch.setattr(internal_kv, "_internal_kv_del", None)
    ray_notes.Teller("m").done()
