"""A rollout that is written and read after every event decides as one that nobody disturbed."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.releases.rollout import (
    Refused,
    State,
    abort,
    pause,
    promote,
    resume,
    start,
    step,
)
from tests.unit.releases.rollout.rolled import ANSWERS, ERRORS, LATENCY, config, traffic

EXPRESSION = {
    "kind": "expression", "expression": "request_errors / request_count", "margin": 0.2, "interval": 7,
}  # fmt: skip
PROMETHEUS = {
    "kind": "prometheus", "address": "http://p:9090", "query": "q{v='{{version}}'}", "interval": 5,
    "relativeMargin": 0.1,
}  # fmt: skip
METRICS = [ERRORS, LATENCY, ANSWERS, EXPRESSION, PROMETHEUS]
STEPS = [{"weight": 5, "duration": 20}, {"weight": 20, "requests": 200, "pause": True},
         {"weight": 50, "duration": 20}]  # fmt: skip
VERBS = {"pause": pause, "resume": resume, "abort": abort, "promote": promote}


def again(state: State) -> State:
    """After a restart."""
    return State.of(json.loads(json.dumps(state.plain, allow_nan=False)))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    worse=st.sampled_from([{}, {"errors": 0.03}, {"slower": 1.5}, {"differs": 0.02}]),
    dry=st.booleans(),
    verbs=st.dictionaries(st.integers(2, 100), st.sampled_from(sorted(VERBS)), max_size=4),
)
def test_a_restart_at_any_moment_changes_nothing(seed, worse, dry, verbs):
    rolls = random.Random(seed)
    whole, weights, _ = start(
        "m", config(steps=STEPS, metrics=METRICS, dryRun=dry, inconclusive={"hold": 30}), "1", 0.0, "r"
    )
    restarted = again(whole)
    for second in range(1, 120):
        evidence = traffic(rolls, weights["2"], **worse)
        looks = {"prometheus": (rolls.random() + len(worse), rolls.random())}
        evidence = type(evidence)(evidence.canary, evidence.baseline, looks)
        whole, weights, records = step(whole, evidence, float(second))
        restarted, *others = step(restarted, evidence, float(second))
        assert others == [weights, records]
        if verb := VERBS.get(verbs.get(second, "")):
            whole, one = tried(verb, whole, second)
            restarted, other = tried(verb, restarted, second)
            assert one == other
        restarted = again(restarted)
        assert restarted == whole
        json.dumps(records, allow_nan=False)
    assert sum(weights.values()) == 100


def tried(verb, state, second):
    try:
        state, *said = verb(state, float(second), by="x")
    except Refused as refused:
        return state, str(refused)
    return state, said


def test_the_state_stays_small():
    rolls = random.Random(1)
    state, weights, _ = start("m", config(metrics=METRICS), "1", 0.0, "r")
    for second in range(1, 100):
        state, weights, _ = step(state, traffic(rolls, weights["2"]), float(second))
    assert len(json.dumps(state.plain)) < 12_000


def test_a_state_of_a_later_version_isn_t_read():
    state, _, _ = start("m", config(), "1", 0.0, "r")
    with pytest.raises(ValueError, match="of another version of Tandem"):
        State.of({**state.plain, "format": 2})
