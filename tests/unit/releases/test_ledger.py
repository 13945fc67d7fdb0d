"""The state: what a change makes of it, and that it is what it was when it is read again."""

import json
from dataclasses import replace

import pytest

from serve_app.releases.change import Change
from serve_app.releases.ledger import (
    UNDER_WAY,
    State,
    begun,
    decoded,
    dropped,
    ended,
    noted,
    redirected,
)
from serve_app.releases.live import Live, LiveTraffic

OFF = Live({"": "x"}, off=True)
OTHER = Live({"": "x"}, {"modelFormat": "onnx"}, "d1")


def change(live: Live | None = OFF, **more) -> Change:
    return Change(**{"id": "i", "model": "m", "verb": "unload", "live": live, "by": "10.0.0.1", **more})


def test_a_change_is_a_generation_and_a_line():
    state = begun(State(), change(), 12.3456)
    assert (state.generation, state.layer) == (1, {"m": OFF})
    assert state.audit == (
        {"time": 12.346, "id": "i", "verb": "unload", "model": "m", "by": "10.0.0.1",
         "outcome": UNDER_WAY, "generation": 1},
    )  # fmt: skip
    state = ended(state, "m", "served", 20.5)
    assert (state.generation, state.under_way, state.audit[0]["outcome"]) == (1, {}, "served")
    assert state.audit[0]["seconds"] == 8.154


def test_a_load_looks_at_files_and_says_which_keys_it_brought():
    state = begun(State(), change(OTHER, verb="load", read=True, version="2"), 0)
    assert state.reads == {"m": 1}
    assert state.audit[0]["config"] == ["modelFormat"]
    assert (state.audit[0]["version"], state.audit[0]["upload"]) == ("2", "d1")
    assert "secret" not in str(begun(State(), change(Live({}, {"options": "secret"})), 0).audit)


def test_what_failed_is_undone_in_another_generation():
    before = ended(begun(State(), change(OTHER, id="a"), 0), "m", "served", 20.5)
    state = ended(begun(before, change(OFF, id="b"), 0), "m", "failed to load", 0, undo=True)
    assert (state.generation, state.layer) == (3, {"m": OTHER})
    assert [line["outcome"] for line in state.audit] == ["served", "failed to load"]
    fresh = ended(begun(State(), change(OTHER), 0), "m", "no", 0, undo=True)
    assert (fresh.generation, fresh.layer) == (2, {})
    same = ended(begun(before, change(OTHER, id="c", read=True), 0), "m", "no", 0, undo=True)
    assert same.generation == 2  # nothing to undo: what lies on disk is what it is


def test_a_deploy_drops_what_was_done_over_another_configuration():
    state = begun(State(), change(), 0)
    assert dropped(state, "m", {"": "other"}, 0) is state
    assert dropped(state, "n", {"": "x"}, 0) is state
    left = dropped(state, "m", {"": "x"}, 0)
    assert (left.generation, left.layer, left.audit[-1]["by"]) == (2, {}, "deploy")


def test_what_is_kept_is_what_it_was():
    state = begun(ended(begun(State(), change(OTHER), 0), "m", "served", 20.5), change(OFF, id="b"), 1)
    state = begun(state, change(None, model="n", read=True, id="c"), 2)
    assert decoded(state.encoded()) == state
    assert decoded(state.encoded()).under_way["m"].before == OTHER
    assert decoded(None) == decoded(b"") == State()
    with pytest.raises(ValueError, match="another version"):
        decoded(b'{"format": 99}')
    for broken in (b"{", b"[]", b"\xff"):
        with pytest.raises(ValueError):
            decoded(broken)


def test_the_files_of_what_was_before_are_needed_until_it_is_over():
    state = begun(ended(begun(State(), change(OTHER), 0), "m", "served", 20.5), change(OFF, id="b"), 1)
    assert state.uploads == {"d1"}
    assert ended(state, "m", "served", 20.5).uploads == set()


def test_the_audit_is_bounded():
    state = State()
    for number in range(500):
        state = noted(state, {"id": str(number)})
    assert len(state.audit) == 200
    assert state.line("499")
    assert not state.line("0")


HALVES = LiveTraffic("before", {"weights": {"1": 50.0, "2": 50.0}})


def test_traffic_and_loads_are_kept_apart():
    state = ended(begun(State(), change(), 0), "m", "served", 0)
    state = begun(state, change(None, id="t", verb="traffic", shares=HALVES), 0)
    assert (state.layer, state.shares, state.generation) == ({"m": OFF}, {"m": HALVES}, 2)
    assert state.audit[-1]["traffic"] == HALVES.config
    assert decoded(state.encoded()) == state
    state = ended(state, "m", "served", 0)
    state = begun(state, change(None, id="l", verb="load"), 0)
    assert (state.layer, state.shares) == ({}, {"m": HALVES})
    failed = ended(state, "m", "no", 0, undo=True)
    assert (failed.layer, failed.shares) == ({"m": OFF}, {"m": HALVES})


def test_traffic_that_a_router_cannot_serve_is_undone():
    first = ended(begun(State(), change(None, verb="traffic", shares=HALVES), 0), "m", "served", 0)
    state = begun(first, change(None, id="b", verb="traffic"), 0)
    assert state.shares == {}
    assert decoded(state.encoded()) == state
    assert ended(state, "m", "no", 0, undo=True).shares == {"m": HALVES}


def test_a_deploy_drops_traffic_over_what_it_said_before():
    state = begun(State(), change(None, verb="traffic", shares=HALVES), 0)
    assert redirected(state, "m", "other", 0) is state
    assert redirected(state, "n", "before", 0) is state
    dropped_ = redirected(state, "m", "before", 0)
    assert (dropped_.shares, dropped_.generation) == ({}, 2)
    assert dropped_.audit[-1]["outcome"] == "a deploy changed its traffic"


def test_a_state_of_before_there_was_traffic_is_read():
    kept = json.loads(begun(State(), change(), 0).encoded())
    del kept["shares"]
    del kept["under_way"]["m"]["shares"]
    found = decoded(json.dumps(kept).encode())
    assert (found.layer, found.shares) == ({"m": OFF}, {})


def test_a_load_that_fails_gives_back_the_load_alone():
    """A rollout may have moved shares since it began."""
    state = begun(State(shares={"m": HALVES}), change(OTHER, verb="load"), 0)
    moved = LiveTraffic("before", {"weights": {"1": 100.0}})
    state = replace(state, shares={"m": moved}, generation=state.generation + 1)
    failed = ended(state, "m", "no", 0, undo=True)
    assert (failed.layer, failed.shares) == ({}, {"m": moved})
    state = begun(State(layer={"m": OFF}), change(None, verb="traffic", shares=HALVES), 0)
    state = replace(state, layer={"m": OTHER})
    failed = ended(state, "m", "no", 0, undo=True)
    assert (failed.layer, failed.shares) == ({"m": OTHER}, {})
