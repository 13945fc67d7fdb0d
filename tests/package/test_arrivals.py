"""Arrival times: the rates they follow, and what a wrong profile is told."""

import re

import numpy as np
import pytest

from loadtests import arrivals
from loadtests.arrivals import Profile, parse

EVERY = {
    "constant": "constant,rate=200,duration=30",
    "steps": "steps,first=50,step=50,count=4,each=10",
    "ramp": "ramp,first=0,last=300,duration=20",
    "spike": "spike,rate=20,factor=10,at=10,length=10,duration=40",
    "day": "day,low=10,high=300,duration=60",
}


def test_there_is_an_example_of_every_shape() -> None:
    assert EVERY.keys() == arrivals.SHAPES.keys()


def expected(profile: Profile, start: float, end: float) -> float:
    """Arrivals between two times, by adding the rate up in small steps."""
    middles = np.linspace(start, end, 20_001)[:-1] + (end - start) / 40_000
    return float(np.mean([profile.at(float(at)) for at in middles]) * (end - start))


@pytest.mark.parametrize("kind", ["constant", "poisson"])
@pytest.mark.parametrize("text", EVERY.values(), ids=EVERY)
def test_arrivals_follow_the_rate(text: str, kind: arrivals.Kind) -> None:
    profile = parse(text)
    times = profile.arrivals(kind)
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] <= profile.duration
    for start, end in zip(edges := np.linspace(0, profile.duration, 9), edges[1:], strict=False):
        wanted = expected(profile, start, end)
        got = int(((times >= start) & (times < end)).sum())
        assert abs(got - wanted) <= (1.1 if kind == "constant" else 5 * wanted**0.5 + 1)


def test_poisson_gaps_are_exponential_and_the_seed_decides() -> None:
    profile = arrivals.constant(100, 200)
    gaps = np.diff(profile.arrivals("poisson", seed=3))
    assert gaps.mean() == pytest.approx(0.01, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert (gaps > 0.01).mean() == pytest.approx(np.exp(-1), abs=0.02)
    assert np.array_equal(profile.arrivals("poisson", 3), profile.arrivals("poisson", 3))
    assert not np.array_equal(profile.arrivals("poisson", 3)[:5], profile.arrivals("poisson", 4)[:5])


def test_nothing_arrives_while_the_rate_is_zero() -> None:
    times = Profile(((0, 10), (10, 10), (10, 0), (20, 0), (20, 10), (30, 10))).arrivals("constant")
    assert len(times) == 200
    assert not ((times > 10) & (times < 20)).any()
    assert arrivals.constant(0, 10).arrivals("poisson").size == 0


def test_levels() -> None:
    profile = arrivals.spike(10, 5, at=2, length=3, duration=10)
    assert [profile.at(at) for at in (-1, 0, 1.9, 2, 4.9, 5, 9.9, 10)] == [0, 10, 10, 50, 50, 10, 10, 0]
    assert arrivals.day(10, 30, 100).at(50) == pytest.approx(30)
    assert arrivals.ramp(0, 10, 10).at(2.5) == 2.5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("spikes,rate=1", "no shape 'spikes', did you mean 'spike'?; there are constant, steps"),
        ("spike,rat=1", "spike has no 'rat', did you mean 'rate'?; it has rate, factor"),
        ("spike,rate=many", "spike: rate must be a number, got 'many'"),
        ("constant,rate=-1", "constant: rate must not be negative, got -1"),
        ("constant,rate=nan", "constant: rate must not be negative, got nan"),
        ("ramp,first=1", "ramp needs last="),
        ("constant,rate=1,duration=0", "constant lasts no time"),
        ("steps,first=1,step=1,count=0", "steps lasts no time"),
        ("spike,rate=1,at=50", "the spike ends at 70 s, after the duration of 60 s"),
    ],
)
def test_a_wrong_profile_is_explained(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse(text)
