"""From figures to verdicts: each says what was shown, and no more."""

import math
from dataclasses import replace
from typing import Any

import pytest

from loadtests.compare import figures
from loadtests.compare.judge import Judge, ms, per_second
from loadtests.compare.options import Prices
from loadtests.compare.report.document import Section, Tone, Verdict
from loadtests.compare.results import Results
from loadtests.compare.sections import choice, cost, load, models, setting
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


def loops(**rates: list[float]) -> Results:
    """Closed loops of each side, a round for each rate, after another one in the preparation."""
    results = Results([*rates], {})
    for side, some in rates.items():
        for number, rate in enumerate([9999.0, *some], -1):
            waits = [0.9 / rate] * round(rate / 10)
            made = run(rate, waits, part="capacity", side=side, round=number)
            results.runs.append(replace(made, rate=0))
    return results


def test_capacity_in_a_closed_loop_has_a_verdict() -> None:
    results = loops(ours=[1500, 1550, 1480], theirs=[350, 360, 340])
    found = load._closed(results, "identity/http", ("ours", "theirs"), Judge())
    assert (found.tone, found.topic) == ("better", "rate")
    assert found.question == "identity over HTTP: answers per second, as fast as it can?"
    assert "1,510/s against 350/s of theirs" in found.answer


def test_of_ten_rounds_a_client_may_spoil_two() -> None:
    """They are left out on both sides; with more there is no verdict."""

    def verdict(spoilt: int, side: str) -> Verdict:
        results = loops(ours=[1000.0] * 10, theirs=[800.0] * 10)
        busy = [one for one in results.of("capacity", side=side) if 0 <= one.round < spoilt]
        for one in busy:
            one.client_cpu, one.seconds = 0.99, one.seconds * 50  # slow, and not by itself
        return load._closed(results, "identity/http", ("ours", "theirs"), Judge())

    assert verdict(2, "theirs").tone == "better"
    assert verdict(2, "theirs").evidence.endswith("; 8 rounds")
    assert "the client was saturated before theirs was" in verdict(3, "theirs").answer
    assert "the client was saturated before ours was" in verdict(3, "ours").answer


def test_memory_of_the_whole_server_has_verdicts() -> None:
    results = Results(["ours", "theirs"], {})
    for number in range(3):
        for side, size in (("ours", 1400), ("theirs", 320)):
            for count, part in ((1, "models"), (4, "models"), (1, "load")):
                more = {"part": part, "side": side, "round": number, "server_cpu": 0.1}
                size_b = (size + 2 * count + number) * 2**20
                results.runs.append(run(100, [0.01] * 100, memory=size_b, count=count, **more))
    many = models.section(results, Judge())
    costs = cost.section(results, {"identity/http": SLO}, Prices(), 2, Judge())
    for section, words in (
        (many, "Memory of the whole server with 1 model?"),
        (costs, "Memory of the whole server under load?"),
    ):
        assert section is not None
        (found,) = (one for one in section.verdicts if one.question == words)
        assert (found.tone, found.topic) == ("worse", "memory")
        assert "MiB of theirs, 4." in found.answer


def said(topic: str, tone: Tone, ratio: float = 1.0) -> Verdict:
    return Verdict(f"{topic}?", "It is.", tone, against="KServe", topic=topic, ratio=ratio)


@pytest.mark.parametrize(
    ("verdicts", "lines"),
    [
        (
            [
                said("rate", "better", 3.94), said("rate", "better", 1.9), said("rate", "same"),
                said("burst", "better", 0.04), said("memory", "worse", 4.31), said("cpu", "same"),
                *[said("wait", "better", 0.5)] * 3, said("wait", "worse", 2),
                said("switch", "better", 0.5), said("switch", "worse", 1.5),
            ],
            [
                "Choose Tandem for many requests per second (by a factor of 1.9 to 3.9), "
                "short waits at a moderate load (3 of 4 answers), bursts of load (by a factor of 25).",
                "Choose KServe tuned or b for little memory (by a factor of 4.3).",
                "Not settled here: a new version under load (1 of 2 answers for Tandem), "
                "little CPU per request.",
            ],
        ),
        (
            [said("start", "worse", 4)],
            [
                "Nothing was shown to speak for Tandem.",
                "Choose KServe tuned or b for a fast start (by a factor of 4).",
                "Every question here has its answer.",
            ],
        ),
        ([], []),
    ],
)  # fmt: skip
def test_a_report_begins_with_what_to_choose_when(verdicts: list[Verdict], lines: list[str]) -> None:
    section = Section("All", "", verdicts)
    assert choice.lines(["tandem", "kserve-tuned", "b"], [section]) == lines


def test_what_is_absent_depends_on_the_sides() -> None:
    def absent(*kinds: str) -> str:
        about = {"sides": [{"kind": kind} for kind in kinds], "machine": {"cores": 2}}
        return " ".join(setting.absent(Results([], about)))

    here = absent("tandem", "kserve-tuned")
    for words in ("More than one machine: client and servers share 2 cores", "in Python", "A gateway"):
        assert words in here
    assert "behind the addresses" not in here
    assert "A gateway" not in absent("tandem", "again")
    assert absent("running", "running").startswith("What is behind the addresses")
    assert "share 2 cores" not in absent("running", "running")


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
