"""Evidence that comes, and what all of it says: roll back, promote, or not yet. Pure."""

import math
from dataclasses import dataclass, replace

from serve_app.config import Metric
from serve_app.config.expressions import value
from serve_app.releases.rollout.bets import Bet, bet, sign
from serve_app.releases.rollout.evidence import Evidence
from serve_app.releases.rollout.state import State, Track
from serve_app.releases.rollout.wealth import Wealth, mean

LOOKED_AT = ("expression", "prometheus")
# Of a block: requests of each version, and seconds after which one is enough.
_ENOUGH, _LONGEST_S = 5, 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """Logarithms of the evidence for each, and of what is needed."""

    rollback: float
    promote: float
    to_rollback: float
    to_promote: float

    @property
    def worse(self) -> bool:
        """Whether it is to be rolled back."""
        return self.rollback >= self.to_rollback

    @property
    def fine(self) -> bool:
        """Whether it may be promoted."""
        return self.promote >= self.to_promote

    @property
    def doubtful(self) -> bool:
        """Whether this is no moment to give it more requests: there is half of what a rollback needs, or
        something in which there is more for "it is bad" than against it.
        """
        return self.rollback >= self.to_rollback / 2 or self.promote < 0


def weighed(state: State, evidence: Evidence, now: float) -> State:
    """With what came since the look before.

    The two versions are compared in blocks, each with some requests of both: a service with a request a
    second would else be looked at in windows that have one of either, which say nothing. When a block is
    closed has to do with how many requests came, not with what became of them.
    """
    looks, evidence = evidence.looks, Evidence(evidence.canary, evidence.baseline)
    block = state.block + evidence
    opened = now if state.opened is None else state.opened
    closes = _closes(block, now - opened)
    tracks = dict(state.tracks)
    for metric in state.config.metrics:
        track = state.track(metric)
        if metric.kind in LOOKED_AT:
            tracks[metric.called] = _looked(metric, track, evidence, looks.get(metric.called), now)
        elif metric.kind == "disagreement":
            tracks[metric.called] = _compared(metric, track, evidence, state.total)
        elif closes:
            tracks[metric.called] = _compared(metric, track, block, state.total)
    answered = state.answered + max(evidence.canary.requests, evidence.canary.compared)
    if not closes:
        return state.now(tracks=tracks, block=block, opened=opened, answered=answered)
    return state.now(
        tracks=tracks, total=state.total + block, block=Evidence(), opened=None, answered=answered
    )


def _closes(block: Evidence, age: float) -> bool:
    fewer = min(block.canary.requests, block.baseline.requests)
    return fewer >= _ENOUGH or (fewer > 0 and age >= _LONGEST_S)


def verdict(state: State) -> Verdict:
    """A rollback needs evidence that it is worse in something: the mean over the metrics, which is
    evidence against "it is fine in all of them". A promotion needs it of each metric: who is bad in one
    is bad. So neither `alpha` nor `beta` has to be divided.
    """
    config = state.config
    tracks = [state.track(metric) for metric in state.deciding]
    return Verdict(
        mean(track.worse for track in tracks),
        min(track.bad.log for track in tracks),
        -math.log(config.alpha),
        -math.log(config.beta),
    )


def _compared(metric: Metric, track: Track, window: Evidence, past: Evidence) -> Track:
    made = bet(metric, window, past)
    return track if made is None else _after(track, made)


def _looked(
    metric: Metric, track: Track, window: Evidence, pair: tuple[float, float] | None, now: float
) -> Track:
    """One look for each `interval`; what comes between two of them is added up."""
    since = track.since + window if metric.kind == "expression" else track.since
    if track.looked is None:  # the first interval begins
        return replace(track, looked=now, since=since)
    if now - track.looked < metric.interval or (metric.kind == "prometheus" and pair is None):
        return replace(track, since=since)
    if metric.kind == "expression":
        measured = since.canary.measures, since.baseline.measures
        pair = value(metric.expression, measured[0]), value(metric.expression, measured[1])
    assert pair is not None
    made = sign(metric, *pair)
    track = replace(track, looked=now, since=Evidence())
    if made is None:
        return track
    looks, worse, beyond = track.looks
    seen = looks + 1, worse + (made.fine > 0), beyond + (made.bad < 0)
    return replace(_after(track, made), looks=seen, last=pair)


def _after(track: Track, made: Bet) -> Track:
    tail = track.tail
    if made.tail is not None:
        tail = (tail or Wealth()).after(made.tail)
    return replace(track, fine=track.fine.after(made.fine), bad=track.bad.after(made.bad), tail=tail)
