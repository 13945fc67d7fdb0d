"""Intervals that hold what they promise."""

import numpy as np
import pytest
from scipy import special, stats

from loadtests.compare.statistics import Interval, compared, level

# Hours of sleep gained by ten patients, with one drug and the other: Student's own example (1908).
# R's `sleep`, for which `t.test(..., paired = TRUE)` gives t = -4.0621, p-value = 0.002833, and the
# 95 percent confidence interval -2.4598858 to -0.7001142.
ONE = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
OTHER = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_a_published_example() -> None:
    found = compared(np.exp(ONE).tolist(), np.exp(OTHER).tolist())
    assert np.log(found.ratio.low) == pytest.approx(-2.4598858, abs=1e-7)
    assert np.log(found.ratio.high) == pytest.approx(-0.7001142, abs=1e-7)
    assert np.log(found.ratio.middle) == pytest.approx(-1.58)
    assert found.significance == pytest.approx(0.002833, abs=1e-6)
    moved = compared([5 + hours for hours in ONE], [5 + hours for hours in OTHER])
    expected = pytest.approx((-1.58, -2.4598858, -0.7001142), abs=1e-7)
    assert (moved.difference.middle, moved.difference.low, moved.difference.high) == expected


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("rounds", [2, 3, 5, 12])
def test_intervals_are_those_of_others(rounds: int, confidence: float) -> None:
    chance = np.random.default_rng(rounds)
    ours, theirs = chance.lognormal(0, 0.4, (2, rounds))
    found = compared(ours.tolist(), theirs.tolist(), confidence)
    logs = np.log(ours / theirs)
    alone = stats.ttest_1samp(logs, 0)
    assert np.log([found.ratio.low, found.ratio.high]) == pytest.approx(
        alone.confidence_interval(confidence)
    )
    # And by the formula, with the t distribution from the incomplete beta function.
    error = logs.std(ddof=1) / rounds**0.5
    reach = special.stdtrit(rounds - 1, (1 + confidence) / 2) * error
    assert np.log(found.ratio.high) == pytest.approx(logs.mean() + reach)
    freedom = rounds - 1
    beyond = special.betainc(freedom / 2, 0.5, freedom / (freedom + (logs.mean() / error) ** 2))
    assert found.significance == pytest.approx(beyond)


@pytest.mark.filterwarnings("error")
def test_rounds_that_say_the_same() -> None:
    found = compared([2.0, 3.0, 4.0], [2.0, 3.0, 4.0])
    assert (found.ratio, found.difference) == (Interval(1, 1, 1), Interval(0, 0, 0))
    assert (found.significance, found.verdict) == (1, "no difference shown")
    half = compared([1.0, 1.0], [2.0, 2.0])
    assert (half.ratio.middle, half.verdict) == (pytest.approx(0.5), "lower")
    assert half.significance < 1e-9


@pytest.mark.parametrize("rounds", [3, 5, 10, 30])
def test_equal_servers_are_told_apart_in_one_of_twenty_comparisons_at_most(rounds: int) -> None:
    chance = np.random.default_rng(rounds)
    wrong = 0
    for _ in range(400):
        machine = chance.lognormal(0, 0.3, rounds)  # both sides feel it alike
        ours, theirs = machine * chance.lognormal(0, 0.05, (2, rounds))
        wrong += compared(ours.tolist(), theirs.tolist()).verdict != "no difference shown"
    assert wrong / 400 < 0.09


@pytest.mark.parametrize(("factor", "verdict"), [(0.7, "lower"), (1.4, "higher")])
def test_a_real_difference_is_found_with_its_size(factor: float, verdict: str) -> None:
    chance = np.random.default_rng(1)
    machine = chance.lognormal(0, 0.3, 5)
    ours = factor * machine * chance.lognormal(0, 0.03, 5)
    theirs = machine * chance.lognormal(0, 0.03, 5)
    found = compared(ours.tolist(), theirs.tolist())
    assert found.verdict == verdict
    assert found.ratio.low < factor < found.ratio.high
    assert (found.ours, found.theirs, found.rounds) == (ours.mean(), theirs.mean(), 5)


def test_a_planted_delay_is_found_in_milliseconds() -> None:
    chance = np.random.default_rng(2)
    theirs = 0.020 + chance.normal(0, 0.0003, 6)
    ours = 0.025 + chance.normal(0, 0.0003, 6)
    found = compared(ours.tolist(), theirs.tolist())
    assert found.difference.low < 0.005 < found.difference.high
    assert found.difference.high - found.difference.low < 0.002


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([], [])])
def test_too_few_rounds(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="two or more rounds"):
        compared(ours, theirs)


def test_nothing_to_divide_by() -> None:
    with pytest.raises(ValueError, match="above 0"):
        compared([1.0, 2.0], [1.0, 0.0])


def test_significance_is_where_the_interval_touches_one() -> None:
    ours, theirs = [1.0, 1.1, 1.05, 0.95, 1.02], [1.2, 1.2, 1.31, 1.2, 1.24]
    error = compared(ours, theirs).significance
    assert 0.0001 < error < 0.01
    assert compared(ours, theirs, 1 - error * 1.0001).verdict == "lower"
    assert compared(ours, theirs, 1 - error * 0.9999).verdict == "no difference shown"
    assert compared([1, 2], [2, 1]).significance > 0.9


def test_a_question_among_many_needs_more_than_one_alone() -> None:
    assert level([0.03]) == 0.05
    assert level([0.03, 0.5, 0.6, 0.9]) == 0.05 / 4
    # Four of five within 0.05 * 4 / 5: one in twenty of what is shown may be chance.
    assert level([0.001, 0.02, 0.035, 0.039, 0.7]) == pytest.approx(0.04)
    assert level([]) == 0.05
    # Benjamini and Hochberg's own example, from myocardial infarctions: four of fifteen.
    published = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    published += [0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert level(published[::-1]) == pytest.approx(0.05 * 4 / 15)


def test_a_report_of_equal_servers_shows_nothing_nineteen_times_in_twenty() -> None:
    chance = np.random.default_rng(11)
    shown = 0
    for _ in range(200):
        found = []
        for _ in range(10):
            machine = chance.lognormal(0, 0.3, 5)
            ours, theirs = machine * chance.lognormal(0, 0.05, (2, 5))
            found.append(compared(ours.tolist(), theirs.tolist()).significance)
        shown += min(found) <= level(found)
    assert shown / 200 < 0.09
