"""From samples to figures and verdicts: each against a case whose answer is known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.client.target import TargetError
from loadtests.compare import figures
from loadtests.compare.__main__ import _known, _options, _parser
from loadtests.compare.cases import CASES, copies, payload, spread
from loadtests.compare.checks import Incomparable, same_versions
from loadtests.compare.judge import Judge, ms, per_second
from loadtests.compare.load import Load, _run
from loadtests.compare.options import Options, Slo, parse_prices, parse_slo
from loadtests.compare.progress import Steps, minutes
from loadtests.compare.results import Results, Run
from loadtests.compare.sections import burst, cost, load, switch
from loadtests.compare.sides import Side, configured
from loadtests.compare.starting import split

SLO = Slo(0.99, 0.05)


def run(rate: float, latencies: list[float], **extra: Any) -> Run:
    """Evenly spaced requests; seconds, infinite for the failed."""
    step = 1 / rate if rate else 0.001
    values = {
        "part": "load", "case": "identity/http", "side": "ours", "round": 0, "rate": rate,
        "seconds": len(latencies) * step,
        "due_us": [round(at * step * 1e6) for at in range(len(latencies))],
        "latency_us": [-1 if math.isinf(one) else round(one * 1e6) for one in latencies],
        "late_us": [100] * len(latencies), "errors": {}, "checked": 0, "wrong": 0, "client_cpu": 0.1,
    }  # fmt: skip
    return Run(**{**values, **extra})


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


def test_a_saturated_client_is_no_slow_server() -> None:
    late = run(200, [0.5] * 100, late_us=[100] * 80 + [6000] * 20)
    busy = run(200, [0.5] * 100, client_cpu=0.97)
    fine = run(200, [0.5] * 100, late_us=[100] * 95 + [60000] * 5)
    assert [figures.saturated(one) for one in (late, busy, fine)] == [True, True, False]
    found = figures.reach([run(100, [0.005] * 100), late], SLO)
    assert found == figures.Reach(100, least=True, client=True)
    judge = Judge()
    verdict = judge.verdict(
        "How much?", ("ours", "theirs"), {0: 1, 1: 1.01}, {0: 3, 1: 3.01}, per_second,
        caution="the client was saturated",
    )  # fmt: skip
    assert (verdict.tone, verdict.against) == ("unknown", "theirs")
    assert verdict.answer == "ours 1/s against 3/s of theirs, but the client was saturated."


def test_what_the_client_could_not_reach_speaks_for_that_side_alone() -> None:
    """At 400/s the client fails one side, which did 200/s at least: more than 100, perhaps 400."""

    def verdict(quick: str, slow_limit: float) -> Any:
        results = Results(["ours", "theirs"], {})
        (slow,) = {"ours", "theirs"} - {quick}
        for number in range(3):
            for rate in (100, 200, 400):
                late = [9000] * 100 if rate == 400 else [100] * 100
                more = {"round": number, "late_us": late, "side": quick}
                results.runs.append(run(rate, [0.5 if rate == 400 else 0.01] * 100, **more))
                wait = 0.01 if rate <= slow_limit else math.inf
                results.runs.append(run(rate, [wait] * 100, round=number, side=slow))
        return load._reached(results, "identity/http", SLO, ("ours", "theirs"), Judge())

    assert verdict("ours", 100).tone == "better"
    assert "ours met it as far as was measured, and may do more" in verdict("ours", 100).answer
    assert verdict("ours", 400).tone == "unknown"
    assert "the client was saturated before ours was" in verdict("ours", 400).answer
    assert verdict("theirs", 100).tone == "worse"
    assert verdict("theirs", 400).tone == "unknown"


def test_goodput_and_achieved_rates() -> None:
    one = run(100, [0.01] * 60 + [0.2] * 40)
    assert figures.good(one, SLO) == pytest.approx(60)
    assert one.achieved == pytest.approx(100 / 1.19, rel=0.01)
    assert run(100, [math.inf] * 3).achieved == 0


def test_cpu_counts_the_warm_up_on_both_sides_of_the_ratio() -> None:
    one = run(100, [0.01] * 100, late_us=[0] * 150, server_cpu=3.0)
    assert figures.cpu_per_1000(one) == pytest.approx(20)
    assert figures.cpu_per_1000(run(100, [0.01] * 100)) is None


def rounds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_verdicts_say_what_was_shown() -> None:
    judge = Judge()
    lower = judge.verdict("Wait?", ("tandem", "b"), rounds(1, 1.1, 1), rounds(2, 2.1, 2.1), ms)
    assert (lower.tone, lower.answer[:18]) == ("better", "Tandem is better: ")
    assert "times as much" in lower.answer
    higher = judge.verdict(
        "Rate?", ("a", "b"), rounds(1, 1.1, 1), rounds(2, 2.1, 2.1), per_second, False
    )
    assert higher.tone == "worse"
    same = judge.verdict("Same?", ("a", "b"), rounds(1, 2, 3), rounds(1.1, 1.9, 3.2), ms)
    assert (same.tone, same.answer[:20]) == ("same", "No difference shown:")
    none = judge.verdict("None?", ("a", "b"), rounds(1, math.inf), rounds(1, 1), ms)
    assert none.answer == "Not answered: a has fewer than two rounds with a figure."
    assert judge.asked == 4


def test_many_questions_are_answered_more_carefully() -> None:
    ours, theirs = rounds(1.0, 1.1, 1.05, 0.95, 1.02), rounds(1.2, 1.2, 1.31, 1.2, 1.24)
    judge = Judge()
    assert judge.verdict("?", ("a", "b"), ours, theirs, ms).tone == "better"
    assert judge.fair == 0.05
    for _ in range(99):
        judge.verdict("?", ("a", "b"), rounds(1, 2, 3), rounds(1.1, 1.9, 3.2), ms)
    assert judge.fair == 0.05 / 100
    assert Judge(judge.fair).verdict("?", ("a", "b"), ours, theirs, ms).tone == "same"


def test_rounds_are_paired_by_their_number() -> None:
    judge = Judge()
    judge.verdict("?", ("a", "b"), {0: 1, 2: 10, 3: 100}, {2: 10, 0: 1, 3: 100, 1: 7}, ms)
    (found,) = judge.differences.values()
    assert (found.ratio.low, found.ratio.high, found.rounds) == (1, 1, 3)


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
    outcome = Outcome(zeros, zeros, zeros + 1, zeros > 0, zeros, {}, kept, 1.0)
    found = _run(Load("load", case, 0, 1), "a", outcome, answers, [])
    assert (found.checked, found.wrong, found.failed) == (3, 2, 0)


def test_slos_and_prices_are_read_and_wrong_ones_refused() -> None:
    assert parse_slo("p99.9=20ms") == ("", Slo(0.999, 0.02))
    assert parse_slo("sentences:p95=300ms") == ("sentences", Slo(0.95, 0.3))
    options = Options(slos={"": SLO, "sentences": Slo(0.5, 1), "sentences/grpc": Slo(0.9, 2)})
    assert [options.slo(case) for case in ("identity/http", "sentences/http", "sentences/grpc")] == [
        SLO, Slo(0.5, 1), Slo(0.9, 2),
    ]  # fmt: skip
    for text in ("p99", "p99=50", "p100=5ms", "99=50ms"):
        with pytest.raises(ValueError, match="an SLO is p99=50ms"):
            parse_slo(text)
    for text in ("core", "cores=1", "core=x"):
        with pytest.raises(ValueError, match="prices are core="):
            parse_prices(text)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--parts", "laod"], "no part 'laod', did you mean 'load'?"),
        (["--cases", "identity/htp"], "did you mean 'identity/http'?"),
        (["--target", "tandem"], "a comparison needs two sides"),
        (["--target", "tandem", "--target", "tandem"], "every side needs its own name"),
        (["--rounds", "1"], "two rounds or more"),
        (["--switch", "tandem"], "a switch is SIDE=COMMAND"),
        (["--payload", "model"], "a payload is MODEL=FILE"),
    ],
)
def test_wrong_options_say_what_is_meant(arguments: list[str], problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        _options(_parser().parse_args(arguments))
    assert problem in str(caught.value)


def test_quick_is_a_start_that_options_change() -> None:
    options = _options(_parser().parse_args(["--quick", "--rounds", "4", "--slo", "p95=9ms"]))
    assert (options.rounds, options.seconds, options.sides) == (4, 1.2, ("tandem", "kserve-tuned"))
    assert options.slo("identity/http") == Slo(0.95, 0.009)
    assert _known("start,load", ("start", "load"), "part") == ("start", "load")


def test_sides() -> None:
    assert Side.parse("again=tandem", {}).kind == "tandem"
    there = Side.parse("there=http://h:1", {"there": "kubectl apply -f x.yaml"})
    assert there.target is not None
    assert there.switchable
    assert not Side.parse("there=http://h:1", {}).switchable
    with pytest.raises(TargetError, match="'kserv' is neither name=URL nor one of kserve"):
        Side.parse("kserv", {})


def test_sides_that_compute_with_other_versions_are_refused() -> None:
    same_versions({"a": {"python": "3.11.7", "torch": "2"}, "b": {"python": "3.11.9", "torch": "2"}})
    with pytest.raises(Incomparable, match="torch is 2 for a, 3 for b"):
        same_versions({"a": {"torch": "2"}, "b": {"torch": "3"}})


def test_the_config_of_started_sides() -> None:
    names = copies("digits", 3)
    assert names == ["digits", "digits-2", "digits-3"]
    config = configured(Path("configs/bench.yaml"), ["digits"], {"digits": names}, {"digits-2": "2"})
    (application,) = config["applications"]
    models = application["deployments"][0]["user_config"]["models"]
    assert [model["name"] for model in models] == names
    assert [model.get("versions") for model in models] == [None, ["2"], None]
    case = spread(CASES["digits/http"], 3)
    assert set(case.models) == set(names)
    assert len(case.requests) == 30


def test_payloads_must_be_requests(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"instances": [1]}')
    with pytest.raises(ValueError, match="is no V2 request: it has no 'inputs'"):
        payload(f"m={file}")


def test_time_left_is_easy_to_read() -> None:
    assert [minutes(seconds) for seconds in (7, 187, 3750)] == ["0:07", "3:07", "1:02:30"]


def test_an_interrupt_that_got_lost_ends_the_next_step() -> None:
    steps = Steps(10)
    steps.begin("one")
    steps.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        steps.begin("two")
