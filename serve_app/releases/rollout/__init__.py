"""Whether a new version takes the place of the one that serves: steps, evidence, decisions. Pure.

`step(state, evidence, now)` is all that whoever holds a rollout has to call.
"""

from serve_app.releases.rollout.evidence import Counts, Evidence, Recorder, merged
from serve_app.releases.rollout.machine import (
    Outcome,
    Refused,
    abort,
    pause,
    promote,
    refuse_second,
    resume,
    start,
    step,
)
from serve_app.releases.rollout.promql import Query, due
from serve_app.releases.rollout.records import Record, numbers
from serve_app.releases.rollout.state import State

__all__ = [
    "Counts", "Evidence", "Outcome", "Query", "Record", "Recorder", "Refused", "State", "abort", "due",
    "merged", "numbers", "pause", "promote", "refuse_second", "resume", "start", "step",
]  # fmt: skip
