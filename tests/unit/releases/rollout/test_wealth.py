"""Evidence is a mixture over the windows from which on a hypothesis may fail."""

import math
import random

import pytest

from serve_app.releases.rollout.wealth import AT_ONCE, Wealth, mean


def wealth_of(logs):
    made = Wealth()
    for log in logs:
        made = made.after(log)
    return made


def test_it_is_the_mean_of_bets_that_begin_at_each_window():
    logs = [0.3, -1.0, 2.0, 0.5, -0.2]
    kept = [1.0, *((1 - AT_ONCE) / (1 + math.log(count)) for count in range(1, 6))]
    bets = [(kept[start] - kept[start + 1]) * math.exp(sum(logs[start:])) for start in range(len(logs))]
    assert wealth_of(logs).log == pytest.approx(math.log(sum(bets) + kept[-1]))


def test_it_begins_with_one_and_windows_that_say_nothing_leave_it():
    assert Wealth().log == 0
    assert wealth_of([0.0] * 1000).log == pytest.approx(0)


def test_what_goes_bad_later_is_found_as_soon_as_what_was_bad_at_once_nearly():
    good, bad = [-0.1] * 3600, [0.1] * 250
    assert sum(good + bad) < -300
    assert wealth_of(good + bad).log > math.log(60)
    assert wealth_of([0.1] * 50).log > 4.7


def test_it_never_vanishes_and_never_overflows():
    assert wealth_of([-1e9]).log == pytest.approx(math.log(1 - AT_ONCE))
    assert wealth_of([1e5, 1e5]).log == pytest.approx(2e5, rel=1e-3)


def test_written_and_read():
    for logs in ([], [0.5], [0.1, -2e7, 3.3]):
        made = wealth_of(logs)
        assert Wealth.of(made.plain) == made


def test_the_mean_of_bets_is_never_less_than_bonferroni_leaves_of_the_best():
    rolls = random.Random(1)
    for _ in range(50):
        logs = [rolls.uniform(-9, 9) for _ in range(3)]
        assert mean(logs) == pytest.approx(math.log(sum(map(math.exp, logs)) / 3))
        assert mean(logs) >= max(logs) - math.log(3)
    assert mean([-5000.0, -5000.0]) == -5000
