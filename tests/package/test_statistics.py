"""Intervals that hold what they promise."""

import numpy as np
import pytest

from loadtests.compare.statistics import compared, level, significance


@pytest.mark.parametrize("rounds", [3, 5, 10, 30])
def test_equal_servers_are_told_apart_in_one_of_twenty_comparisons_at_most(rounds: int) -> None:
    chance = np.random.default_rng(rounds)
    wrong = 0
    for seed in range(400):
        machine = chance.lognormal(0, 0.3, rounds)  # both sides feel it alike
        ours, theirs = machine * chance.lognormal(0, 0.05, (2, rounds))
        wrong += compared(ours.tolist(), theirs.tolist(), seed=seed).verdict != "no difference shown"
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
    error = significance(ours, theirs)
    assert 0.0001 < error < 0.01
    assert compared(ours, theirs, 1 - error * 1.02).verdict == "lower"
    assert compared(ours, theirs, 1 - error * 0.98).verdict == "no difference shown"
    assert significance([1, 2], [2, 1]) > 0.9


def test_a_question_among_many_needs_more_than_one_alone() -> None:
    assert level([0.03]) == 0.05
    assert level([0.03, 0.5, 0.6, 0.9]) == 0.05 / 4
    # Four of five within 0.05 * 4 / 5: one in twenty of what is shown may be chance.
    assert level([0.001, 0.02, 0.035, 0.039, 0.7]) == pytest.approx(0.04)
    assert level([]) == 0.05


def test_a_report_of_equal_servers_shows_nothing_nineteen_times_in_twenty() -> None:
    chance = np.random.default_rng(11)
    shown = 0
    for _ in range(200):
        found = []
        for _ in range(10):
            machine = chance.lognormal(0, 0.3, 5)
            ours, theirs = machine * chance.lognormal(0, 0.05, (2, 5))
            found.append(significance(ours.tolist(), theirs.tolist()))
        shown += min(found) <= level(found)
    assert shown / 200 < 0.09
