"""What the proof of shadows makes of its runs."""

import numpy as np
import pytest
from scipy import stats

from loadtests.shadow.figures import within


def ratios(seed: int, count: int = 20, by: float = 1.0) -> list[float]:
    drawn = np.random.default_rng(seed).normal(0, 0.1, count)
    return [float(one) * by for one in np.exp(drawn)]


def test_what_is_the_same_lies_inside() -> None:
    """In 95 of 100 experiments all twenty do."""
    seen = [within(ratios(seed), ratios(seed + 1000)).inside for seed in range(400)]
    assert 0.9 < np.mean([one == 20 for one in seen]) < 0.99


def test_what_is_slower_doesnt() -> None:
    assert within(ratios(1), ratios(2, by=2.0)).inside == 0
    assert within(ratios(1), ratios(2, by=0.5)).inside == 0
    assert within(ratios(1), ratios(2, by=1.3)).inside < 20


def test_one_pair_says_nothing() -> None:
    with pytest.raises(ValueError, match="two pairs"):
        within([1.0], [1.0])


def test_a_shift_that_all_runs_share_shows_in_their_mean():
    apart = [1.0, 1.1, 0.9, 1.05, 0.95]
    seen = within(apart, [1.1 * one for one in apart])
    assert seen.inside == 5
    mean, low, high = seen.shift
    assert mean == pytest.approx(1.1 * np.exp(np.mean(np.log(apart))))
    said = stats.ttest_1samp(np.log(seen.shadowed), 0).confidence_interval(0.95)
    assert (np.log(low), np.log(high)) == pytest.approx((said.low, said.high))


def test_runs_that_differ_too_much_tell_nothing() -> None:
    """As on a busy machine, where one run of twelve had six times the p99 of the others."""
    assert within(ratios(1), ratios(2)).telling
    seen = within([1.0, 1.1, 0.16, 0.9, 1.0, 1.1], ratios(2, 6, by=3.0))
    assert seen.inside == 6
    assert not seen.telling
