"""A rollout by Tandem's own code, which looks once a second."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from loadtests.rollouts.services import STEP_S, STEPS, Counts, Ends, Traffic
from serve_app.config import Rollout, parse
from serve_app.releases import rollout
from serve_app.releases.rollout import Evidence

METRICS: list[dict[str, Any]] = [
    {"kind": "errorRate", "margin": 0.01},
    {"kind": "latency", "relativeMargin": 0.2},
    {"kind": "disagreement", "margin": 0.005},
]
CONFIG = {
    "version": "2",
    "steps": [{"weight": weight, "duration": STEP_S} for weight in STEPS],
    "metrics": METRICS,
    "inconclusive": {"hold": "10m"},
}


def run(traffic: Traffic, look_s: float = 1.0) -> tuple[bool, float, int]:
    """Whether one was rolled back, after how many seconds and requests of the new version. What it is
    told at each look is what was counted since the one before.
    """
    state, _, _ = rollout.start("model", parse(Rollout, CONFIG), "1", 0.0, "simulated")
    state, weights, _ = rollout.step(state, Evidence(), 0.0)
    now, canary = 0.0, 0
    while not state.over:
        new, old = traffic.requests(look_s, weights["2"])
        seen = Evidence(counted(traffic, new, True, now), counted(traffic, old, False, now))
        now += look_s
        canary += new
        state, weights, _ = rollout.step(state, seen, now)
    return state.phase == "rolledBack", now, canary


def ended(several: Iterable[tuple[bool, float, int]]) -> Ends:
    """All of them."""
    back, seconds, requests = zip(*several, strict=True)
    return Ends(np.array(back), np.array(seconds, float), np.array(requests, float))


def counted(traffic: Traffic, requests: int, canary: bool, at: float) -> rollout.Counts:
    """What Routers count of so many requests. Every answer of the new version is compared."""
    errors = traffic.errors(requests, canary, at)
    answered = requests - errors
    times = histogram(traffic.times(answered, canary), traffic.service.first)
    if not canary:
        return rollout.Counts(requests, errors, times)
    return rollout.Counts(requests, errors, times, answered, traffic.differ(answered, True))


def histogram(counts: Counts, first: int) -> dict[int, int]:
    """Without the buckets that are empty."""
    at = np.flatnonzero(counts)
    return dict(zip((at + first).tolist(), counts[at].tolist(), strict=True))
