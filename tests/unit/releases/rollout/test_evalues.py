"""E-values: their mean under the hypothesis is computed, outcome by outcome, and never above 1."""

import math
import random

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, hypergeom, nchypergeom_fisher

from serve_app.releases.rollout.evalues import conditional, projected, single

SIZES = [(1, 1), (5, 3), (12, 2), (3, 9), (20, 1)]


def mean(n0, n1, p0, p1, log_e):
    """Of the e-value, over all outcomes."""
    chances = np.outer(binom.pmf(range(n0 + 1), n0, p0), binom.pmf(range(n1 + 1), n1, p1))
    return sum(chances[at] * math.exp(log_e(*at)) for at in np.ndindex(chances.shape))


@pytest.mark.parametrize(("n0", "n1"), SIZES)
@pytest.mark.parametrize("p", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("odds", [1.5, 4.0])
def test_conditional_is_one_where_both_are_the_same_and_less_where_the_second_is_better(n0, n1, p, odds):
    def log_e(k0, k1):
        return conditional(n0, k0, n1, k1, odds)

    assert mean(n0, n1, p, p, log_e) == pytest.approx(1)
    assert mean(n0, n1, p, p / 2, log_e) <= 1 + 1e-12


@pytest.mark.parametrize(("n0", "n1"), SIZES)
@pytest.mark.parametrize("p0", [0.01, 0.3, 0.6])
def test_conditional_the_other_way_round(n0, n1, p0):
    """Hypothesis: the second rate is at least half more; the ratio of odds is then at least that."""

    def log_e(k0, k1):
        return conditional(n0, k0, n1, k1, 1.0, 1.5)

    for ratio in (1.5, 1.6):
        assert mean(n0, n1, p0, p0 * ratio, log_e) <= 1 + 1e-12
    odds = 1.5 * p0 / (1 - p0)
    assert mean(n0, n1, p0, odds / (1 + odds), log_e) == pytest.approx(1)


@pytest.mark.parametrize(("n0", "n1"), SIZES)
@pytest.mark.parametrize("margin", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("believed", [0.001, 0.05, 0.4])
def test_projected_is_at_most_one_wherever_the_difference_is_the_margin_or_more(
    n0, n1, margin, believed
):
    def log_e(k0, k1):
        return projected(n0, k0, n1, k1, (believed, believed), margin)

    for p0 in (0.0, 0.01, 0.1, 0.3, 0.49):
        for more in (0.0, 0.01, 0.3):
            assert mean(n0, n1, p0, min(p0 + margin + more, 1), log_e) <= 1 + 1e-9


def test_rates_may_change_in_the_middle_of_a_window():
    """Requests one by one, of rates of their own: what counts is the mean (Turner and Grünwald)."""
    p0, p1 = [0.0, 0.2], [0.05, 0.35]  # on the mean worse by 0.1
    total = 0.0
    for outcome in np.ndindex(2, 2, 2, 2):
        chance = math.prod(p if hit else 1 - p for p, hit in zip([*p0, *p1], outcome, strict=True))
        total += chance * math.exp(projected(2, sum(outcome[:2]), 2, sum(outcome[2:]), (0.1, 0.1), 0.1))
    assert total <= 1


@pytest.mark.parametrize(
    ("n0", "k0", "n1", "k1", "odds"),
    [(285, 3, 15, 1, 3.0), (30, 28, 20, 19, 2.0), (100_000, 900, 5_000, 61, 1.3),
     (500, 400, 500, 450, 0.5)],
)  # fmt: skip
def test_conditional_is_fisher_s_noncentral_hypergeometric_likelihood_ratio(n0, k0, n1, k1, odds):
    said = nchypergeom_fisher.logpmf(k1, n0 + n1, n1, k0 + k1, odds)
    assert conditional(n0, k0, n1, k1, odds) == pytest.approx(
        said - hypergeom.logpmf(k1, n0 + n1, n1, k0 + k1), abs=1e-6
    )


@pytest.mark.parametrize(
    ("n0", "n1", "p", "margin"), [(285, 15, 0.005, 0.01), (1, 1, 0.3, 0.2), (40, 400, 0.001, 0.05)]
)
def test_projected_is_the_likelihood_ratio_to_the_nearest_pair(n0, n1, p, margin):
    def divergence(q0):
        return sum(
            n * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
            for n, q in ((n0, q0), (n1, q0 + margin))
        )

    q0 = minimize_scalar(divergence, bounds=(1e-12, p), method="bounded", options={"xatol": 1e-12}).x
    k0, k1 = n0 // 20, n1 // 10
    expected = sum(
        k * math.log(p / q) + (n - k) * math.log((1 - p) / (1 - q))
        for n, k, q in ((n0, k0, q0), (n1, k1, q0 + margin))
    )
    assert projected(n0, k0, n1, k1, (p, p), margin) == pytest.approx(expected, abs=1e-4)


def test_nothing_comes_of_nothing():
    assert conditional(100, 0, 5, 0, 3.0) == 0
    assert conditional(100, 7, 0, 0, 3.0) == 0
    assert conditional(0, 0, 7, 3, 3.0) == 0
    assert projected(100, 7, 0, 0, (0.01, 0.01), 0.1) == 0
    assert projected(100, 7, 5, 0, (0.01, 0.2), 0.1) == 0  # no alternative to the hypothesis
    assert single(0, 0, 0.1, 0.2) == 0


def test_one_version_is_wald_s_sequential_test():
    """p0 = 0.1 against p1 = 0.3 with errors of 2 and 3 %: by his formulas (Sequential tests of
    statistical hypotheses, 1945) the lines have a slope of 0.186 and begin at -2.58 and 2.88.
    """
    for n in (20, 60):
        for begins, needed in ((2.875, 0.97 / 0.02), (-2.582, 0.03 / 0.98)):
            line = begins + 0.1862 * n
            assert single(n, math.ceil(line), 0.3, 0.1) >= math.log(needed)
            assert single(n, math.floor(line), 0.3, 0.1) < math.log(needed)


@pytest.mark.parametrize("window", [(1, 1), (9, 1), (1, 4)])
def test_looking_after_every_window_deceives_as_rarely_as_stated(window):
    """400 looks at two versions that are the same, 500 times, with errors that come and go."""
    random_numbers = np.random.default_rng(7)
    n0, n1 = window
    deceived = 0
    for _ in range(500):
        level = random_numbers.choice([0.02, 0.3, 0.6], p=[0.8, 0.1, 0.1], size=400)
        k0, k1 = random_numbers.binomial(n0, level), random_numbers.binomial(n1, level)
        log = 0.0
        for one, other in zip(k0.tolist(), k1.tolist(), strict=True):
            log += conditional(n0, one, n1, other, 3.0)
            if log >= math.log(20):
                deceived += 1
                break
    assert deceived <= 500 * 0.05 + 3 * math.sqrt(500 * 0.05 * 0.95)


def test_requests_in_bursts_deceive_no_more_often_where_each_goes_either_way_by_chance():
    """Nothing is asked of errors but that who answers is left to chance: here they come in bursts of
    20.
    """
    rolls = random.Random(3)
    deceived = 0
    for _ in range(300):
        log = 0.0
        for _ in range(100):
            errors = [False] * 20 if rolls.random() < 0.9 else [rolls.random() < 0.8 for _ in range(20)]
            chosen = [rolls.random() < 0.3 for _ in errors]
            n1 = sum(chosen)
            k1 = sum(e for e, c in zip(errors, chosen, strict=True) if c)
            log += conditional(20 - n1, sum(errors) - k1, n1, k1, 2.0)
            if log >= math.log(20):
                deceived += 1
                break
    assert deceived <= 300 * 0.05 + 3 * math.sqrt(300 * 0.05 * 0.95)
