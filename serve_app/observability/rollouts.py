"""Rollouts in metrics: the shares of their versions, what was decided, and how each ended."""

import time
from collections.abc import Mapping

from ray.serve import metrics

from serve_app.internals.serve_gauge import Gauge
from serve_app.releases.rolling import Rolling

SHOWN_S = 3600.0  # so long it is told how one ended
_DECISIONS = "start, step, hold, pause, resume, rollback, promote, inconclusive, abort"


class RolloutMetrics:
    """To be made inside a Serve replica; `show` is called each second."""

    def __init__(self) -> None:
        self._weight = Gauge(
            "rollout_weight",
            "Percent of the requests that a version gets in a rollout.",
            ("model_name", "model_version"),
        )
        self._ended = Gauge(
            "rollout_ended",
            "1 for an hour after a rollout ended so: promoted, rolledBack or aborted.",
            ("model_name", "model_version", "outcome"),
        )
        self._decisions = metrics.Counter(
            "rollout_decisions",
            description=f"What was decided in rollouts: {_DECISIONS}.",
            tag_keys=("model_name", "decision"),
        )

    def decided(self, model: str, decision: str) -> None:
        """One of them was."""
        self._decisions.inc(1, {"model_name": model, "decision": decision})

    def show(self, rollouts: Mapping[str, Rolling]) -> None:
        """As they stand."""
        for model, one in rollouts.items():
            state = one.state
            for version, share in state.weights.items():
                self._weight.set(share, model, version)
            if state.over and time.time() - one.records[-1]["time"] < SHOWN_S:
                self._ended.set(1, model, state.config.version, state.phase)
