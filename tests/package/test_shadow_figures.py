"""What the proof of shadows makes of its runs."""

import numpy as np
import pytest

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
