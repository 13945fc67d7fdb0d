"""The simulation of rollouts: its services, the others' rules as they are documented, and a small run
of it.
"""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from loadtests.rollouts import kayenta, series, tandem
from loadtests.rollouts.__main__ import compared
from loadtests.rollouts.kayenta import Judged, Kayenta
from loadtests.rollouts.report import table
from loadtests.rollouts.series import HELD, P95, P99, TODAY, Series
from loadtests.rollouts.services import BAD, STEPS, Kind, Service, Traffic
from loadtests.rollouts.thresholds import Argo, Flagger, Limits
from serve_app.releases.rollout.evidence import edge

SERVICE = Service(0.005, 0.0002, 0.02, 0.5, 0.02, 3)
MINUTE = Limits(4, 0.5, 0.5)


def traffic(kind: Kind, seed: int = 1) -> Traffic:
    return Traffic(SERVICE, kind, np.random.default_rng(seed))


def made(failing: dict[tuple[int, int], bool]) -> Series:
    """Of one rollout with 100 requests in a sample, whose errors are too many in some minutes."""
    counts = np.zeros((1, 3, len(STEPS), HELD))
    counts[:, 0] = 100
    for (step, minute), bad in failing.items():
        counts[0, 1, step, 4 * minute : 4 * minute + 4] = 5 * bad
    flat = np.ones((1, 2, len(STEPS), HELD))
    beside = np.zeros((1, 2, 4, len(STEPS), 4))
    normal = np.array([[[0.005, 1.0, 0.0, 1.0]] * 2])
    return Series(counts, flat, flat[..., ::2], flat[..., ::4], beside, normal)


def test_a_slower_version_s_p99_is_a_fifth_higher_and_its_median_the_same() -> None:
    def quantile(shares: np.ndarray, share: float) -> float:
        return edge(SERVICE.first + int(np.searchsorted(np.cumsum(shares), share)))

    times, slow = SERVICE.times, SERVICE.slow_times
    assert times.sum() == pytest.approx(1)
    assert slow.sum() == pytest.approx(1)
    assert quantile(slow, 0.5) == quantile(times, 0.5)
    assert quantile(slow, 0.99) / quantile(times, 0.99) == pytest.approx(1.2, rel=0.025)
    assert SERVICE.share_below(SERVICE.quantile(0.99)) == pytest.approx(0.99)


@pytest.mark.parametrize(("kind", "row", "rate"), [("errors", 1, 0.015), ("answers", 2, 0.0052)])
def test_what_is_planted_is_there(kind: Kind, row: int, rate: float) -> None:
    counts = series.measured(traffic(kind)).counts[0]
    assert counts[row].sum() / counts[0].sum() == pytest.approx(rate, rel=0.1)


def test_quantiles_are_what_they_are() -> None:
    one = traffic("same")
    found = series.quantiles(one.times(200_000, canary=False), one).tolist()
    assert found == pytest.approx([SERVICE.quantile(0.99), SERVICE.quantile(0.95)], rel=0.02)


def test_a_rule_looks_at_the_quantile_that_it_is_given() -> None:
    def always_slow(quantile: int) -> Series:
        one = made({})
        for values in (one.slow_1, one.slow_2, one.slow_4):
            values[:, quantile] = 1.2
        return one

    for quantile in (P99, P95):
        rules = [Flagger(Limits(4, 0.5, 0.5, TODAY, one), 3) for one in (P99, P95)]
        back = [bool(rule.run(always_slow(quantile)).back[0]) for rule in rules]
        assert back == [one == quantile for one in (P99, P95)]
    high = np.zeros((1, 4, 5), bool)
    high[0, 3] = True
    seen = Judged(high, np.full((1, 4, 5), 1.3), np.arange(1.0, 6)[None])
    assert Kayenta(1, 75, 95, 1.0, P95).run(seen).back[0]
    assert not Kayenta(1, 75, 95, 1.0, P99).run(seen).back[0]


def test_flagger_stays_on_a_step_while_checks_fail_and_ends_after_threshold_of_them() -> None:
    # How it works: a rollback takes interval x threshold, a promotion interval x steps.
    always = made({(step, minute): True for step in range(5) for minute in range(13)})
    assert [float(x[0]) for x in vars(Flagger(MINUTE, 3).run(always)).values()] == [1, 180, 1200]
    assert [float(x[0]) for x in vars(Flagger(MINUTE, 3).run(made({}))).values()] == [0, 300, 2000]
    twice = made({(0, 0): True, (3, 0): True})
    assert [float(x[0]) for x in vars(Flagger(MINUTE, 3).run(twice)).values()] == [0, 420, 2800]
    assert Flagger(MINUTE, 2).run(twice).back[0]


def test_argo_goes_on_by_the_clock_and_aborts_above_the_failure_limit() -> None:
    # Failure Conditions and Failure Limit: failed > failureLimit.
    thrice = made({(0, 0): True, (2, 0): True, (4, 0): True})
    assert not Argo(MINUTE, 3).run(thrice).back[0]
    ended = Argo(MINUTE, 2).run(thrice)
    assert (ended.back[0], ended.seconds[0], ended.requests[0]) == (True, 300, 2000)
    assert Argo(MINUTE, 0).run(thrice).seconds[0] == 60


@pytest.mark.parametrize("seed", range(6))
def test_kayenta_s_test_is_mann_whitney_s(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(seed / 5, 1, 14).round(1), random.normal(0, 1, 11).round(1)
    said = mannwhitneyu(x, y, alternative="two-sided", method="asymptotic").pvalue
    z = kayenta._z(x, y)
    assert 2 * norm.sf(abs(z)) == pytest.approx(said, abs=1e-9)


def test_kayenta_s_judge() -> None:
    random = np.random.default_rng(3)
    x = random.normal(10, 1, 20)
    assert kayenta.compared(x + 5, x)[0]
    assert not kayenta.compared(x, x)[0]
    assert not kayenta.compared(x - 5, x)[0]
    assert kayenta.compared(2 * x, x)[1] == pytest.approx(2)
    assert np.isnan(kayenta.compared(np.ones(4), np.zeros(4))[1])


def test_kayenta_s_scores() -> None:
    high = np.zeros((1, 4, 5), bool)
    high[0, 1, 2:] = True  # from the third minute on: 66.7 of 100
    seen = Judged(high, np.full((1, 4, 5), 1.3), np.arange(1.0, 6)[None])
    assert Kayenta(1, 75, 95, 1.0).run(seen).seconds[0] == 180  # below marginal: at once
    assert Kayenta(1, 50, 95, 1.0).run(seen).seconds[0] == 300  # below pass: at the end
    assert not Kayenta(1, 50, 50, 1.0).run(seen).back[0]
    assert not Kayenta(1, 75, 95, 1.5).run(seen).back[0]  # effects too small to count
    assert Kayenta(2, 75, 95, 1.0).run(seen).seconds[0] == 240


def test_a_small_run() -> None:
    """All of it with few rollouts; what is asked of a thousand is allowed chance here."""
    rows = compared(12, seed=4)
    tandem_row = rows[0].plain
    assert tandem_row["same"]["rolled_back"] <= 3
    for kind in BAD:
        assert tandem_row[kind]["rolled_back"] >= 10
        for row in rows[1:]:
            if "documented" in row.rule:
                assert tandem_row[kind]["bad_answers_mean"] < row.plain[kind]["bad_answers_mean"] / 2
    text = table(rows)
    assert text.count("\n| ") == len(rows) + 1  # what is below the head
    assert all(row.setting in text for row in rows)


def test_the_same_seed_is_the_same_rollout() -> None:
    assert tandem.run(traffic("errors", 5)) == tandem.run(traffic("errors", 5))
