"""From figures to verdicts: each says what was shown, and no more."""

import math
from typing import Any

from loadtests.compare import figures
from loadtests.compare.judge import Judge, ms, per_second
from loadtests.compare.results import Results
from loadtests.compare.sections import load
from tests.package.runs import SLO, run


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
