"""Rollouts for the tests: configurations, and traffic that is made up."""

import random

from serve_app.config import Rollout, parse
from serve_app.releases.rollout import Counts, Evidence, State, start, step
from serve_app.releases.rollout.evidence import bucket

ERRORS = {"kind": "errorRate", "margin": 0.01}
LATENCY = {"kind": "latency", "relativeMargin": 0.2}
ANSWERS = {"kind": "disagreement", "margin": 0.005}
STEPS = [{"weight": 5, "duration": 60}, {"weight": 25, "requests": 1000}, {"weight": 50, "duration": 30}]


def config(**changed) -> Rollout:
    said = {"version": 2, "steps": STEPS, "metrics": [ERRORS]}
    return parse(Rollout, {**said, **changed})


def running(now: float = 0.0, **changed) -> State:
    """In its first step."""
    state, _, _ = start("m", config(**changed), "1", now, "r1")
    return step(state, Evidence(), now)[0]


def errors(canary: tuple[int, int], baseline: tuple[int, int]) -> Evidence:
    """Of each: requests, and how many of them failed."""
    return Evidence(Counts(*canary), Counts(*baseline))


FINE = errors((300, 1), (700, 3))
BAD = errors((300, 30), (700, 3))


def traffic(rolls: random.Random, weight: float, errors=0.0, slower=1.0, differs=0.0) -> Evidence:
    """A second of 200 requests, of which the new version has `weight` percent and is worse by that."""
    made = {True: Recording(), False: Recording()}
    for _ in range(200):
        canary = rolls.random() * 100 < weight
        one = made[canary]
        one.requests += 1
        if rolls.random() < 0.003 + errors * canary:
            one.errors += 1
            continue
        at = bucket(rolls.lognormvariate(-4, 0.5) * (slower if canary else 1))
        one.latency[at] = one.latency.get(at, 0) + 1
        one.differed += canary and rolls.random() < 0.0002 + differs
    new, old = made[True], made[False]
    compared = sum(new.latency.values())
    return Evidence(
        Counts(new.requests, new.errors, new.latency, compared, new.differed),
        Counts(old.requests, old.errors, old.latency),
    )


class Recording:
    """Of one version, for a second."""

    def __init__(self) -> None:
        self.requests = self.errors = self.differed = 0
        self.latency: dict[int, int] = {}
