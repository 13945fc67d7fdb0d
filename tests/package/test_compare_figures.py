"""From samples to figures: each against a case whose answer is known."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtests.compare import figures
from loadtests.compare.cases import CASES
from loadtests.compare.load import Load, _run
from loadtests.compare.options import Slo, parse_prices
from loadtests.compare.results import Results
from loadtests.compare.sections import burst, cost, switch
from loadtests.compare.starting import split
from tests.package.runs import SLO, run


def test_quantiles_are_values_that_occurred_and_failures_are_infinite() -> None:
    values = run(10, [0.004, 0.001, math.inf, 0.002, 0.003]).latencies
    assert [figures.quantile(values, share) for share in (0.2, 0.5, 0.8, 0.81)] == [
        0.001, 0.003, 0.004, math.inf,
    ]  # fmt: skip
    assert math.isnan(figures.quantile(np.zeros(0), 0.5))


def test_the_reach_is_where_the_curve_crosses_the_slo() -> None:
    runs = [run(400, [0.5] * 100), run(100, [0.005] * 100), run(200, [0.0125] * 100)]
    # From 12.5 ms at 200/s to 500 ms at 400/s, on logarithms: 50 ms is log 4 / log 40 of the way.
    found = figures.reach(runs, SLO)
    assert found.rate == pytest.approx(200 * 2 ** (math.log(4) / math.log(40)))
    assert not found.least


def test_a_reach_has_no_end_before_the_side_fails() -> None:
    assert figures.reach([run(100, [0.005] * 100)], SLO) == figures.Reach(100, least=True)
    assert figures.reach([run(100, [0.06] * 100)], SLO) == figures.Reach(0)
    failing = [run(100, [0.005] * 100), run(200, [math.inf] * 100)]
    assert figures.reach(failing, SLO) == figures.Reach(100)
    behind = run(200, [0.001 + at / 500 for at in range(100)])  # in time at first, then later and later
    assert not figures.meets(behind, Slo(0.1, 0.05))


def test_keeping_up_is_with_what_came() -> None:
    """In short runs that is more or less than the rate, and an answer's time is much."""
    fewer = run(100, [0.01] * 50)
    assert figures.meets(replace(fewer, rate=120), SLO)
    short = run(100, [0.045] * 60)  # the last answer comes 35 ms after 0.6 s: later than 5 % of them
    assert figures.meets(short, SLO)
    assert not figures.meets(run(100, [0.01] * 90 + [math.inf] * 10), Slo(0.5, 0.05))
    assert not figures.meets(run(100, []), SLO)


def test_quantiles_are_numpys() -> None:
    values = np.random.default_rng(1).exponential(size=997)
    for share in (0, 0.001, 0.29, 0.5, 0.99, 0.999, 1):
        assert figures.quantile(values, share) == np.quantile(values, share, method="inverted_cdf")


def test_goodput_and_achieved_rates() -> None:
    one = run(100, [0.01] * 60 + [0.2] * 40)
    assert figures.good(one, SLO) == pytest.approx(60)
    assert one.achieved == pytest.approx(100 / 1.19, rel=0.01)
    assert run(100, [math.inf] * 3).achieved == 0


def test_cpu_counts_the_warm_up_on_both_sides_of_the_ratio() -> None:
    one = run(100, [0.01] * 100, late_us=[0] * 150, server_cpu=3.0)
    assert figures.cpu_per_1000(one) == pytest.approx(20)
    assert figures.cpu_per_1000(run(100, [0.01] * 100)) is None


def test_a_switch_is_over_with_the_last_old_answer() -> None:
    versions = [(at * 100_000, "1" if at < 55 else "2") for at in range(100)]
    one = run(10, [0.01] * 40 + [0.3] * 10 + [0.02] * 50, versions=versions, moments={"asked": 4.0})
    assert switch.until_new(one) == pytest.approx(1.4)
    assert switch.longest(one) == pytest.approx(0.3)
    assert (switch.before(one), switch.after(one)) == (0.01, 0.3)
    assert math.isnan(switch.until_new(run(10, [0.01], versions=[(0, "1")], moments={"asked": 0})))


def test_a_burst_is_over_when_few_are_slow() -> None:
    # Two seconds of calm, one of burst, then slow for 1.5 s, one slow one long after.
    latencies = [0.01] * 200 + [0.1] * 100 + [0.1] * 150 + [0.01] * 550
    latencies[900] = 0.1
    one = run(100, latencies)
    assert burst.recovery(one, 2, 1) == pytest.approx(1.5)
    assert burst.during(one, 2, 1) == 0.1
    assert burst.recovery(run(100, [0.01] * 500), 2, 1) == 0.1


def test_a_million_requests_cost_what_the_machine_costs_meanwhile() -> None:
    prices = parse_prices("core=0.05,gib=0.01")
    # 1,000/s: a thousand seconds of two cores and one GiB.
    assert cost.per_million(1000, 2, 2**30, prices) == pytest.approx(1000 / 3600 * 0.11)
    assert cost.per_million(0, 2, 2**30, prices) == math.inf


def test_a_start_is_split_by_what_models_say() -> None:
    line = '{"time":9,"event":"loaded","model":"m","version":"%s","process_began":%s,"began":%s,'
    line += '"load_s":0.5,"warm_up_s":0.25}'
    log = (
        f"noise\n(Router pid=1) {line % (1, 103.0, 104.0)}\n{line % (2, 103.0, 105.0)}\n" + '{"time":1}'
    )
    assert split(log, 100.0) == {"platform": 3.0, "imports": 1.0, "load": 1.0, "warm_up": 0.5}
    assert split("nothing", 100.0) == {}


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    results = Results(["a", "b"], {"x": 1})
    results.runs.append(run(10, [0.1, math.inf], versions=[(1, "2")], moments={"asked": 1.5}))
    file = tmp_path / "results.json"
    results.save(file)
    assert Results.load(file) == results
    file.write_text('{"format": 0}')
    with pytest.raises(ValueError, match="no result of a comparison"):
        Results.load(file)


def test_wrong_answers_under_load_are_counted() -> None:
    from loadtests.answers import Answers
    from loadtests.client.job import Outcome

    case, answers = CASES["identity/http"], Answers()
    (request,) = case.requests
    right = {"x": np.array([[1.5, -2.25, 3.125, 4.0]], dtype=np.float32)}
    answers._known[request] = ("a", right)
    body = (
        b'{"outputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1.5, %s, 3.125, 4]}]}'
    )
    kept = {0: body % b"-2.25", 5: body % b"-2.5", 9: b"not JSON"}
    zeros = np.zeros(10)
    outcome = Outcome(zeros, zeros, zeros + 1, zeros > 0, zeros, {}, kept, 1.0, 2.0)
    found = _run(Load("load", case, 0, 1), "a", outcome, answers, [])
    assert (found.checked, found.wrong, found.failed) == (3, 2, 0)
    assert found.client_cpu == 0.5
