"""What was decided, with the numbers that it rests on: one record for each decision. Pure."""

import math
from typing import Any

from serve_app.config import Metric
from serve_app.releases.rollout.bets import QUANTILES, tail
from serve_app.releases.rollout.evidence import Counts, edge, quantile
from serve_app.releases.rollout.state import State
from serve_app.releases.rollout.wealth import AT_ONCE
from serve_app.releases.rollout.weighing import LOOKED_AT, Verdict, verdict

Record = dict[str, Any]
_TESTS = {
    "errorRate": "conditional e-value (hypergeometric) for a rollback, reverse information projection "
    "for a promotion",
    "latency": "conditional e-value (hypergeometric) of the requests above the baseline's quantile, for "
    "a rollback of those beyond where its tail begins as well",
    "disagreement": "likelihood ratio against the share that is tolerated",
    "expression": "sequential sign test",
    "prometheus": "sequential sign test",
}
_LARGEST = 690.0  # of an exponent that a float holds


def record(state: State, what: str, why: str, now: float, by: str = "") -> Record:
    """`state` is how it stands after it."""
    said: Record = {
        "time": round(now, 3), "rollout": state.id, "model": state.model,
        "version": state.config.version, "baseline": state.baseline, "what": what, "why": why,
        "phase": state.phase, "step": state.step, "weights": state.weights,
    }  # fmt: skip
    if by:
        said["by"] = by
    if state.config.dry_run:
        said["dryRun"] = True
    return {**said, **numbers(state)}


def numbers(state: State) -> Record:
    """What is measured, what it says and what is needed: of all metrics together, and of each."""
    found = verdict(state)
    return {
        "alpha": state.config.alpha,
        "beta": state.config.beta,
        "evidence": {"rollback": _e(found.rollback), "promote": _e(found.promote)},
        "needed": {"rollback": _e(found.to_rollback), "promote": _e(found.to_promote)},
        "metrics": [_metric(state, metric, found) for metric in state.config.metrics],
    }


def sentence(state: State, metric: Metric) -> str:
    """What was measured of it, in words."""
    one, other = state.seen.canary, state.seen.baseline
    names = f"version {state.config.version}", f"version {state.baseline}"
    if metric.kind == "errorRate":
        return (
            f"{names[0]} failed {_of(one.errors, one.requests)}, "
            f"{names[1]} {_of(other.errors, other.requests)}"
        )
    if metric.kind == "latency":
        times = [_times(metric, counts) for counts in (one, other)]
        told = [
            f"{called} of {names[0]}: {_ms(times[0][called])}, of {names[1]}: {_ms(times[1][called])}"
            for called in times[0]
        ]
        return "; ".join(told)
    if metric.kind == "disagreement":
        return f"{_of(one.differed, one.compared)} answers differed"
    looks, worse, beyond = state.track(metric).looks
    return (
        f"{metric.called} of {names[0]} was worse at {worse} of {looks} looks, by the margin at {beyond}"
    )


def strongest(state: State) -> Metric:
    """The metric in which there is most evidence that it is worse."""
    return max(state.deciding, key=lambda metric: state.track(metric).worse)


def weakest(state: State) -> Metric:
    """The metric in which there is least evidence that it is not worse by the margin."""
    return min(state.deciding, key=lambda metric: state.track(metric).bad.log)


def _metric(state: State, metric: Metric, found: Verdict) -> Record:
    track = state.track(metric)
    said: Record = {"name": metric.called, "test": _TESTS[metric.kind]}
    if metric.margin is not None:
        said["margin"] = metric.margin
    if metric.relative_margin is not None:
        said["relativeMargin"] = metric.relative_margin
    if metric.dry_run:
        said["dryRun"] = True
    said["canary"], said["baseline"] = _measured(state, metric)
    said["evidence"] = {"rollback": _e(track.worse), "promote": _e(track.bad.log)}
    # By itself: the others leave it a part of the mean.
    alone = found.to_rollback + math.log(len(state.deciding))
    said["more"] = {
        "rollback": _more(state, metric, track.worse, alone),
        "promote": _more(state, metric, track.bad.log, found.to_promote),
    }
    return said


def _measured(state: State, metric: Metric) -> tuple[Record, Record]:
    if metric.kind in LOOKED_AT:
        track = state.track(metric)
        looks, worse, beyond = track.looks
        last = track.last or (None, None)
        return {"last": last[0], "looks": looks, "worse": worse, "beyond": beyond}, {"last": last[1]}
    one, other = (_counted(metric, counts) for counts in (state.seen.canary, state.seen.baseline))
    return one, other


def _counted(metric: Metric, counts: Counts) -> Record:
    if metric.kind == "errorRate":
        return {"requests": counts.requests, "errors": counts.errors}
    if metric.kind == "latency":
        return {"requests": sum(counts.latency.values()), **_times(metric, counts)}
    return {"compared": counts.compared, "differed": counts.differed}


def _more(state: State, metric: Metric, log: float, needed: float) -> int | None:
    """How many requests more of the new version (or looks), at the pace until now; None where the
    evidence doesn't point there."""
    if log >= needed:
        return 0
    if metric.kind in LOOKED_AT:
        seen = state.track(metric).looks[0]
    else:
        one = state.seen.canary
        seen = one.compared if metric.kind == "disagreement" else one.requests
    gained = log - math.log(AT_ONCE)
    return math.ceil(seen * (needed - log) / gained) if log > 0 and seen else None


def _times(metric: Metric, counts: Counts) -> dict[str, float | None]:
    """The quantile, and the one at which its tail begins."""
    shares: dict[str, float] = {metric.quantile: QUANTILES[metric.quantile]}
    if begins := tail(metric):
        shares[f"p{begins * 100:g}"] = begins
    found = {called: quantile(counts.latency, share) for called, share in shares.items()}
    return {called: None if at is None else float(f"{edge(at):.4g}") for called, at in found.items()}


def _ms(seconds: float | None) -> str:
    return "nothing yet" if seconds is None else f"{seconds * 1e3:.3g} ms"


def _of(k: int, n: int) -> str:
    return f"{k:,} of {n:,}" + (f" ({k / n:.3%})" if n else "")


def _e(log: float) -> float:
    return float(f"{math.exp(min(log, _LARGEST)):.4g}")
