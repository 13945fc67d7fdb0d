"""What is learned of a queue: its pace, and its clients' patience."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.core.waiting import Waiting

INF = float("inf")


def paced(gaps, amount: int = 1, ahead: int = 10) -> tuple[Waiting, float]:
    """One that was busy all the time, and when it was last."""
    waiting, now = Waiting(), 100.0
    waiting.took(amount, now)
    waiting.busy = True
    for gap in gaps:
        now += gap
        waiting.took(amount, now)
        waiting.busy = True
    waiting.ahead = ahead
    return waiting, now


def test_a_queue_that_nobody_knows_has_no_wait():
    waiting = Waiting()
    waiting.ahead = 1_000_000
    assert waiting.expected(5.0) == waiting.too_long(0.001, 5.0) == 0


def test_an_empty_one_has_none_whatever_was_learned():
    waiting, now = paced([50.0] * 40, ahead=0)
    assert waiting.too_long(0.001, now) == 0


def test_the_wait_is_what_is_ahead_at_the_pace():
    waiting, now = paced([0.1] * 200, amount=4, ahead=80)
    assert waiting.expected(now) == pytest.approx(2.0, rel=0.02)
    assert waiting.too_long(4.1, now) == 0
    assert waiting.too_long(3.9, now) == pytest.approx(2.0, rel=0.02)


def test_the_first_samples_count_less():
    waits = [paced([0.1] * count)[0].expected(100 + 0.1 * count) for count in (1, 2, 8, 64)]
    assert waits == sorted(waits)
    assert waits[0] < 0.4 * waits[-1]


@given(seed=st.integers(0, 2**16), mean=st.sampled_from([1e-4, 0.02, 5.0]), amount=st.integers(1, 256))
def test_whatever_the_distribution_it_is_nearly_right(seed, mean, amount):
    chance = random.Random(seed)
    for gaps in (
        [mean] * 300,
        [chance.expovariate(1 / mean) for _ in range(300)],
        [mean * (5 if chance.random() < 0.1 else 5 / 9) for _ in range(300)],
    ):
        waiting, now = paced(gaps, amount, ahead=10 * amount)
        assert 5 * mean < waiting.expected(now) < 20 * mean


def test_times_in_which_something_was_free_say_nothing():
    waiting, now = paced([0.1] * 50)
    before = waiting.expected(now)
    for _ in range(100):
        waiting.free()
        now += 3.0
        waiting.took(1, now)
    waiting.busy = True
    assert waiting.expected(now) in (0.0, before)


def test_a_batch_that_isnt_full_says_nothing_of_full_ones():
    waiting, now = paced([0.1] * 50, amount=32, ahead=320)
    before = waiting.expected(now)
    for _ in range(20):
        now += 0.1
        waiting.took(1, now, full=False)
        waiting.busy = True
    assert waiting.expected(now) == before


def test_one_that_hangs_is_an_outlier():
    waiting, now = paced([0.1] * 100)
    before = waiting.expected(now)
    waiting.took(1, now + 1000)
    assert waiting.expected(now + 1000) < 1.5 * before


def test_while_it_hangs_the_wait_grows():
    waiting, now = paced([0.1] * 100)
    waits = [waiting.expected(now + silent) for silent in (0.0, 1.0, 10.0, 100.0)]
    assert waits == sorted(waits)
    assert waits[-1] > 20 * waits[0]


def test_the_first_of_a_busy_time_may_be_a_cold_start():
    waiting, now = paced([0.1] * 100)
    before = waiting.expected(now)
    waiting.free()
    waiting.took(1, now + 5)
    waiting.busy = True
    assert waiting.expected(now + 9) == before
    assert waiting.expected(now + 100) == 0  # nothing is known any more


def test_a_new_pace_is_learned_soon():
    waiting, now = paced([10.0] * 50 + [0.01] * 150)
    assert waiting.expected(now) < 10 * 10.0 * 0.02
    waiting, now = paced([0.01] * 50 + [1.0] * 60)
    assert waiting.expected(now) > 10 * 1.0 * 0.5


def test_the_first_turn_of_all_tells_no_pace():
    """Nothing came before it, though all is busy: clients left before."""
    waiting = Waiting()
    waiting.busy, waiting.ahead = True, 5
    waiting.took(1, 100.0)
    assert waiting.expected(100.0) == 0.0
    waiting.busy = True
    waiting.took(1, 100.1)
    assert 0.0 < waiting.expected(100.1) <= 0.5


def test_after_a_pause_it_learns_anew():
    waiting, now = paced([60.0] * 50)
    waiting.free()
    now += 500
    waiting.took(1, now)
    waiting.busy = True
    for _ in range(2):
        now += 0.01
        waiting.took(1, now)
        waiting.busy = True
    assert waiting.expected(now) < 1.0


def leave(waiting: Waiting, times: int, seconds: float, since: float, until: float) -> None:
    """So many after so long, one after the other."""
    for at in range(1, times + 1):
        waiting.left(seconds, since + (until - since) * at / times)


def test_clients_are_taken_to_wait_until_most_have_left():
    waiting, now = paced([0.1] * 100, ahead=200)
    assert waiting.patience(now) == INF
    assert waiting.too_long(1000.0, now) == 0  # 20 s
    leave(waiting, 40, 10.0, now, now + 10)
    now += 10
    assert waiting.patience(now) == pytest.approx(5.0, rel=0.02)
    assert waiting.too_long(1000.0, now) > 0


@pytest.mark.parametrize("times", [32, 10_000])
@pytest.mark.parametrize("lasts", [0.0, 0.09, 0.9])
def test_those_who_leave_at_once_are_one_client_that_dies(times, lasts):
    waiting, now = Waiting(), 50.0
    for _ in range(10):  # at long intervals
        leave(waiting, times, 1.0, now, now + lasts)
        assert waiting.patience(now + lasts) == INF
        now += 30


@pytest.mark.parametrize("lasts", [0.0, 0.09, 0.45])
def test_many_that_die_soon_after_each_other_while_more_are_answered(lasts):
    waiting, now = Waiting(), 50.0
    for _ in range(10):
        leave(waiting, 300, 1.0, now, now + lasts)
        now += 1
        for _ in range(400):
            waiting.stayed()
        assert waiting.patience(now) == INF


@pytest.mark.parametrize(("left", "shrinks"), [(3, True), (1, False)])
def test_of_many_that_end_in_a_moment_the_share_counts(left, shrinks):
    """2,000 a second are answered, and more or fewer leave."""
    waiting, now = Waiting(), 50.0
    for _ in range(3000):
        now += 0.001
        waiting.stayed()
        waiting.stayed()
        for _ in range(left):
            waiting.left(0.5, now)
    assert (waiting.patience(now) < INF) == shrinks


def test_a_few_that_leave_are_nobody():
    waiting, now = Waiting(), 50.0
    for _ in range(100):
        for _ in range(9):
            waiting.stayed()
        leave(waiting, 8, 0.1, now, now + 0.1)
        now += 1
    assert waiting.patience(now) == INF


def test_patience_shrinks_once_for_those_that_came_before():
    waiting = Waiting()
    leave(waiting, 200, 10.0, 50.0, 52.5)
    assert waiting.patience(52.5) == pytest.approx(5.0, rel=0.01)
    leave(waiting, 200, 10.0, 52.5, 61.0)  # they came until 51
    assert waiting.patience(61.0) == pytest.approx(5.0, rel=0.02)
    leave(waiting, 200, 4.0, 62.0, 64.5)  # they came from 58 on
    assert waiting.patience(64.5) == pytest.approx(2.0, rel=0.01)


def test_patience_comes_back():
    waiting = Waiting()
    leave(waiting, 40, 10.0, 40.0, 50.0)
    grown = [waiting.patience(50.0 + seconds) for seconds in (0, 10, 400, 1e9)]
    assert grown == sorted(grown)
    assert grown[1] < 5.2  # seldom tried, as those who leave then cost an answer each
    assert grown[2] == pytest.approx(10.0, rel=0.02)
    assert grown[3] > 1e6
