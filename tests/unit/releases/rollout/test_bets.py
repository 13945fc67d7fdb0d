"""What a metric says: each kind finds its own regression, and calls a good version good."""

import itertools
import math
import random
import re
from collections import Counter
from statistics import NormalDist

import numpy as np
import pytest

from serve_app.config import Metric, parse
from serve_app.releases.rollout import Counts, Evidence, Query, abort, due, step
from serve_app.releases.rollout.bets import bet, sign, tail, threshold
from serve_app.releases.rollout.evidence import bucket, edge
from tests.unit.releases.rollout.rolled import ANSWERS, ERRORS, LATENCY, errors, running, traffic

KINDS = {
    "errors": (ERRORS, {"errors": 0.01}),
    "relative errors": ({"kind": "errorRate", "relativeMargin": 2.0}, {"errors": 0.006}),
    "latency": (LATENCY, {"slower": 1.2}),
    "median": ({"kind": "latency", "quantile": "p50", "relativeMargin": 0.1}, {"slower": 1.1}),
    "milliseconds": ({"kind": "latency", "quantile": "p90", "margin": 0.005}, {"slower": 1.15}),
    "answers": (ANSWERS, {"differs": 0.005}),
    "expression": (
        {"kind": "expression", "expression": "request_errors / request_count", "margin": 0.005,
         "interval": 5},
        {"errors": 0.05},
    ),
}  # fmt: skip


def decided(metric, seed, **worse):
    """The phase in which it ends, and after how many seconds."""
    rolls = random.Random(seed)
    steps = [{"weight": 30, "duration": 300}]
    state = running(metrics=[metric], steps=steps, inconclusive={"hold": 900})
    for second in range(1, 1200):
        state, _, _ = step(state, traffic(rolls, 30, **worse), float(second))
        if state.over:
            return state.phase, second
    return state.phase, second


@pytest.mark.parametrize("kind", KINDS)
def test_a_regression_of_the_margin_is_rolled_back_and_a_good_version_promoted(kind):
    metric, worse = KINDS[kind]
    assert [decided(metric, seed, **worse)[0] for seed in (1, 2)] == ["rolledBack"] * 2
    assert [decided(metric, seed)[0] for seed in (3, 4)] == ["promoted"] * 2


def test_a_version_that_fails_always_is_found_in_a_handful_of_requests():
    state = running()
    state, _, _ = step(state, errors((0, 0), (3000, 9)), 1.0)
    state, _, _ = step(state, errors((5, 5), (95, 0)), 2.0)
    assert state.phase == "rolledBack"


def test_an_outage_of_both_decides_nothing_and_what_comes_after_it_is_still_found():
    metric = parse(Metric, ERRORS)
    past = errors((2000, 10), (38_000, 190))
    outage = bet(metric, errors((50, 20), (950, 380)), past)
    assert outage is not None
    assert abs(outage.fine) < 0.2
    state = running(steps=[{"weight": 5, "duration": 9999}])
    for second in range(200):
        level = 400 if 50 <= second < 80 else 4
        state, _, _ = step(state, errors((50, level // 19), (950, level)), float(second))
    assert state.phase == "running"
    for second in range(200, 240):
        state, _, _ = step(state, errors((50, 2), (950, 4)), float(second))
    assert state.phase == "rolledBack"


def test_a_leak_that_begins_after_hours_is_found():
    state = running(steps=[{"weight": 50, "duration": 99_999}])
    for hour in range(300):
        state, _, _ = step(state, errors((5000, 15), (5000, 15)), float(hour))
    for minute in range(15):
        state, _, _ = step(state, errors((500, 7), (500, 2)), 300.0 + minute)
    assert state.phase == "rolledBack"


def test_the_threshold_of_a_latency_is_the_baseline_s_and_the_margin_is_rounded_down():
    counts = Counts(10_000, 0, {bucket(0.01): 9850, bucket(0.1): 150})
    at, beyond = threshold(parse(Metric, LATENCY), Evidence(baseline=counts), 0.99)
    assert at == bucket(0.1) + 1
    assert edge(at) * 1.2 / 1.0222 < edge(beyond) <= edge(at) * 1.2
    absolute = parse(Metric, {"kind": "latency", "margin": 0.02})
    at, beyond = threshold(absolute, Evidence(baseline=counts), 0.99)
    assert edge(beyond) <= edge(at) + 0.02 < edge(beyond + 1)


@pytest.mark.parametrize(
    ("quantile", "begins"), [("p99", 0.95), ("p95", 0.75), ("p90", 0.5), ("p75", 0.5), ("p50", None)]
)
def test_where_the_tail_of_a_latency_begins(quantile, begins):
    said = {"kind": "latency", "quantile": quantile, "relativeMargin": 0.2}
    assert tail(parse(Metric, said)) == begins
    assert tail(parse(Metric, {**said, "tail": False})) is None


def slow(count, share_over_p95, share_over_p99):
    """Times of which these shares are beyond 20 ms and beyond 50 ms."""
    far, slower = round(count * share_over_p99), round(count * share_over_p95)
    return {bucket(0.01): count - slower, bucket(0.021): slower - far, bucket(0.051): far}


def test_bets_on_the_quantile_and_on_its_tail_mean_1_over_who_got_which_requests():
    """The same requests, dealt to the versions in every way: neither bet gains on the whole."""
    metric = parse(Metric, LATENCY)
    past = Evidence(baseline=Counts(2000, 0, slow(2000, 0.05, 0.01)))
    times = [0.01] * 5 + [0.021] * 3 + [0.051] * 2
    means, ways = [0.0, 0.0], list(itertools.combinations(range(len(times)), 4))
    for mine in ways:
        of = [[], []]
        for at, seconds in enumerate(times):
            of[at in mine].append(bucket(seconds))
        old, new = (Counts(len(one), 0, Counter(one)) for one in of)
        made = bet(metric, Evidence(new, old), past)
        for at, log in enumerate((made.fine, made.tail)):
            means[at] += math.exp(log) / len(ways)
    assert means == pytest.approx([1, 1])


P95, P99 = (math.exp(-4 + 0.5 * NormalDist().inv_cdf(share)) for share in (0.95, 0.99))


def found_after(made_slower, seed=5, most=6000, **said):
    """How many requests of a version it takes until it is rolled back whose times are made so; None
    where it isn't.
    """
    metric = {"kind": "latency", "relativeMargin": 0.2, **said}
    state = running(metrics=[metric], steps=[{"weight": 10, "duration": 99_999}])
    numbers = np.random.default_rng(seed)

    def counted(times):
        return Counts(len(times), 0, Counter(map(bucket, times.tolist())))

    for second in range(most // 20):
        old, new = numbers.lognormal(-4, 0.5, 180), numbers.lognormal(-4, 0.5, 20)
        state, _, _ = step(state, Evidence(counted(made_slower(new)), counted(old)), float(second))
        if state.over:
            return 20 * (second + 1)
    return None


def test_what_makes_all_slow_requests_longer_is_found_where_the_tail_begins():
    def slower(times):
        return times * 1.2

    with_tail, without = (
        sum(found_after(slower, seed, tail=tail) for seed in range(4)) for tail in (True, False)
    )
    assert with_tail < without / 2


def test_what_only_the_slowest_show_is_found_as_well():
    """As many requests beyond p95, and more beyond p99."""

    def slower(times):
        return np.where(times > (P95 + P99) / 2, times * 1.5, times)

    with_tail, without = found_after(slower), found_after(slower, tail=False)
    assert without <= with_tail <= 1.5 * without


def test_without_its_tail_p99_alone_decides():
    def slower(times):
        """More beyond p95, none of them beyond p99."""
        return np.where(times > P95, times, np.minimum(times * 1.3, P99 * 0.95))

    assert found_after(slower) is not None
    assert found_after(slower, tail=False) is None


def test_a_record_tells_both_places():
    state = running(metrics=[LATENCY], steps=[{"weight": 30, "duration": 300}])
    rolls = random.Random(1)
    for second in range(1, 300):
        state, _, records = step(state, traffic(rolls, 30, slower=1.3), float(second))
        if state.over:
            break
    (record,) = records
    assert re.fullmatch(
        r"p99 of version 2: [\d.]+ ms, of version 1: [\d.]+ ms; "
        r"p95 of version 2: [\d.]+ ms, of version 1: [\d.]+ ms",
        record["why"],
    )
    assert {"requests", "p99", "p95"} == record["metrics"][0]["canary"].keys()


def test_a_quantile_that_nobody_knows_yet_decides_nothing():
    few = Evidence(baseline=Counts(100, 0, {bucket(0.01): 100}))
    assert threshold(parse(Metric, LATENCY), few, 0.99) is None
    assert bet(parse(Metric, LATENCY), traffic(random.Random(1), 50), few) is None


@pytest.mark.parametrize("kind", ["errorRate", "latency", "disagreement"])
def test_a_window_without_requests_says_nothing(kind):
    metric = parse(Metric, {"kind": kind, "margin": 0.01})
    past = traffic(random.Random(1), 50)
    assert bet(metric, Evidence(), past) is None
    assert bet(metric, Evidence(baseline=past.baseline), past) is None


def test_the_last_window_s_outcome_is_not_what_the_bet_on_it_rests_on():
    """The same counts of both together, however they lie: the bets' mean over that is 1."""
    metric, past = parse(Metric, ERRORS), errors((0, 0), (5000, 25))
    n0, n1, total = 60, 40, 4
    ways = math.comb(n0 + n1, total)
    mean = sum(
        math.comb(n1, k1) * math.comb(n0, total - k1) / ways
        * math.exp(bet(metric, errors((n1, k1), (n0, total - k1)), past).fine)
        for k1 in range(total + 1)
    )  # fmt: skip
    assert mean == pytest.approx(1)


@pytest.mark.parametrize(
    ("worse", "canary", "baseline", "fine", "bad"),
    [
        ("higher", 1.3, 1.0, True, True), ("higher", 1.1, 1.0, True, False),
        ("higher", 1.0, 1.0, False, False), ("higher", 0.5, 1.0, False, False),
        ("lower", 0.7, 1.0, True, True), ("lower", 0.9, 1.0, True, False),
        ("lower", 1.2, 1.0, False, False), ("higher", -0.7, -1.0, True, True),
    ],
)  # fmt: skip
def test_a_look_is_worse_or_worse_by_the_margin(worse, canary, baseline, fine, bad):
    metric = parse(
        Metric,
        {"kind": "expression", "expression": "compared", "relativeMargin": 0.2, "worse": worse},
    )
    made = sign(metric, canary, baseline)
    assert (made.fine > 0, made.bad < 0) == (fine, bad)
    assert sign(metric, math.nan, 1.0) is None


def test_a_query_is_looked_at_once_in_its_interval():
    metric = {"kind": "prometheus", "address": "http://p:9090", "query": "q{{version}}", "margin": 1,
              "interval": 10, "name": "q"}  # fmt: skip
    state = running(metrics=[metric], steps=[{"weight": 50, "duration": 9999}])
    for second in range(1, 62):
        state, _, records = step(state, Evidence(looks={"q": (2.0, 1.0)}), float(second))
    assert state.tracks["q"].looks == (6, 6, 6)
    for second in range(62, 300):
        state, _, records = step(state, Evidence(looks={"q": (2.0, 1.0)}), float(second))
        if records:
            break
    assert (state.phase, second) == ("rolledBack", 71)
    assert records[0]["why"] == "q of version 2 was worse at 7 of 7 looks, by the margin at 7"
    assert records[0]["metrics"][0]["canary"] == {"last": 2.0, "looks": 7, "worse": 7, "beyond": 7}


@pytest.mark.parametrize(("failing", "phase"), [(0.2, "rolledBack"), (0.0, "promoted")])
def test_a_request_a_second_is_enough_if_one_waits(failing, phase):
    """Of windows of a second each has requests of one version at most: blocks have some of both."""
    rolls = random.Random(8)
    metric = {"kind": "errorRate", "margin": 0.1}
    state = running(metrics=[metric], steps=[{"weight": 20, "duration": 60}], maxDuration="2h")
    for second in range(1, 4000):
        canary = rolls.random() < 0.2
        one = Counts(1, int(rolls.random() < (failing if canary else 0.01)))
        seen = Evidence(canary=one) if canary else Evidence(baseline=one)
        state, _, records = step(state, seen, float(second))
        if state.over:
            break
    assert state.phase == phase
    # What the record says is all that came, the last block included.
    (counted,) = records[0]["metrics"]
    assert counted["canary"]["requests"] + counted["baseline"]["requests"] == second


def test_a_query_is_due_once_in_its_interval_with_the_version_in_its_place():
    metric = {"kind": "prometheus", "address": "http://p:9090", "margin": 1, "interval": 10,
              "query": 'q{v="{{ version }}",m="{{model}}",x="{{other}}"}'}  # fmt: skip
    state = running(metrics=[metric], steps=[{"weight": 50, "duration": 9999}])
    assert due(state, 0.5) == []
    state = step(state, Evidence(), 1.0)[0]
    assert due(state, 10.9) == []
    (query,) = due(state, 11.0)
    assert query == Query(
        "prometheus", "http://p:9090", 'q{v="2",m="m",x="{{other}}"}', 'q{v="1",m="m",x="{{other}}"}'
    )
    again = step(state, Evidence(looks={query.name: (1.0, 1.0)}), 11.0)[0]
    assert (again.tracks["prometheus"].looks, due(again, 12.0)) == ((1, 0, 0), [])
    # Nobody answered: it is due still.
    assert due(step(state, Evidence(), 11.0)[0], 12.0) == [query]
    assert due(abort(state, 12.0)[0], 99.0) == []
