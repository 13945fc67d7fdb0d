"""Intervals that hold what they promise."""

import numpy as np
import pytest

from loadtests.compare.statistics import compared


@pytest.mark.parametrize("rounds", [3, 5, 10, 30])
def test_equal_servers_are_told_apart_in_one_of_twenty_comparisons_at_most(rounds: int) -> None:
    chance = np.random.default_rng(rounds)
    wrong = 0
    for seed in range(400):
        machine = chance.lognormal(0, 0.3, rounds)  # both sides feel it alike
        ours, theirs = machine * chance.lognormal(0, 0.05, (2, rounds))
        wrong += compared(ours.tolist(), theirs.tolist(), seed).verdict != "no difference shown"
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
