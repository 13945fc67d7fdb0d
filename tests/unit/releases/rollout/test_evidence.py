"""What Routers count: buckets, quantiles, sums, and the way over JSON."""

import json
import math
import random

import numpy as np
import pytest

from serve_app.releases.rollout import Counts, Evidence, Recorder, merged
from serve_app.releases.rollout.evidence import bucket, edge, over, quantile


@pytest.mark.parametrize("seconds", [2e-6, 0.0007, 0.02, 0.999, 1.0, 3.7, 600.0])
def test_a_bucket_is_two_percent_wide(seconds):
    at = bucket(seconds)
    assert edge(at) <= seconds < edge(at + 1)
    assert edge(at + 1) / edge(at) == pytest.approx(1.022, abs=0.001)


def test_nothing_is_too_short():
    assert bucket(0.0) == bucket(-1.0) == bucket(1e-9)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_quantile_is_within_a_bucket_of_what_it_is(share):
    times = np.random.default_rng(1).lognormal(-4, 0.7, 20_000)
    recorder = Recorder()
    for time in times.tolist():
        recorder.finished(time, failed=False)
    found = quantile(recorder.take().latency, share)
    assert edge(found) == pytest.approx(np.quantile(times, share), rel=0.03)


def test_at_most_so_many_lie_above_a_quantile():
    rolls = random.Random(5)
    for _ in range(200):
        latency = {rolls.randrange(-9, 9): rolls.randrange(1, 50) for _ in range(rolls.randrange(1, 9))}
        total = sum(latency.values())
        for share in (0.5, 0.9, 0.99):
            at = quantile(latency, share)
            assert over(latency, at) <= total * (1 - share) + 1e-9
            below = [one for one in latency if one < at]
            assert over(latency, max(below, default=at)) > total * (1 - share) - 1e-9
    assert quantile({}, 0.5) is None


def test_a_recorder_counts_and_begins_anew():
    recorder = Recorder()
    recorder.finished(0.02, failed=False)
    recorder.finished(0.02, failed=False)
    recorder.finished(0.5, failed=True)
    recorder.finished(None, failed=False)
    recorder.compares(True)
    recorder.compares(False)
    recorder.grew("model_batch_size_sum", 4)
    found = recorder.take()
    assert found == Counts(4, 1, {bucket(0.02): 2}, 2, 1, {"model_batch_size_sum": 4})
    assert found.measures["request_errors"] == 1
    assert recorder.take() == Counts()


def test_routers_add_up_in_any_order():
    one = Evidence(Counts(3, 1, {1: 2}, 1, 1, {"a": 0.5}), Counts(9), {"q": (1.0, 2.0)})
    other = Evidence(Counts(2, 0, {1: 1, 5: 1}), Counts(0, 0, {2: 7}, sums={"a": 1.0}))
    both = Evidence(
        Counts(5, 1, {1: 3, 5: 1}, 1, 1, {"a": 0.5}),
        Counts(9, 0, {2: 7}, sums={"a": 1.0}),
        {"q": (1.0, 2.0)},
    )
    assert merged([one, other]) == merged([other, one]) == both
    assert merged([]) == Evidence()


def test_over_json_and_small():
    rolls = random.Random(2)
    latency = {bucket(rolls.lognormvariate(-4, 0.6)): rolls.randrange(1, 999) for _ in range(5000)}
    made = Evidence(Counts(10, 2, latency, 5, 1, {"a": 1.5}), Counts(), {"q": (1.0, 2.5)})
    text = json.dumps(made.plain, separators=(",", ":"))
    assert Evidence.of(json.loads(text)) == made
    assert len(text) < 2500
    assert Counts().plain == {}
    assert math.isclose(sum(latency.values()), over(latency, min(latency)))
