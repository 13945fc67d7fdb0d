"""A rollout's metrics as PromQL over what Tandem exports: how much worse one version is than another.
Pure.
"""

import re
from dataclasses import dataclass

from serve_app.config import Metric
from serve_app.config.expressions import MEASURES
from serve_app.releases.rollout.bets import QUANTILES
from serve_app.releases.rollout.state import State

# The client's own: as in configs/alerts.
_CLIENTS = "InvalidArgument|NotFound|MethodNotAllowed|TooLarge|Unsupported"
_COUNTERS = ("request_count", "request_errors")
_UNEXPORTED = ("compared", "differed")


@dataclass(frozen=True, slots=True)
class Query:
    """Of a metric, by its name: where to ask what, of the new version and of the other one."""

    name: str
    address: str
    canary: str
    baseline: str


class Unknown(Exception):
    """Why there is no query for it."""


def filled(query: str, model: str, version: str) -> str:
    """With the model and the version in their places."""
    said = {"version": version, "model": model}
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: said.get(found[1], found[0]), query)


def due(state: State, now: float) -> list[Query]:
    """What is to be asked before the next look: each query once in its metric's interval."""
    found = []
    for metric in state.config.metrics:
        looked = state.track(metric).looked
        if metric.kind != "prometheus" or state.phase == "pending" or state.over:
            continue
        if looked is not None and now - looked >= metric.interval:
            asked = (
                filled(metric.query, state.model, version)
                for version in (state.config.version, state.baseline)
            )
            found.append(Query(metric.called, metric.address, *asked))
    return found


def difference(
    metric: Metric, model: str, version: str, baseline: str, seconds: int
) -> tuple[str, float]:
    """A query for how much worse `version` is, and the bound that this has to stay below."""
    new, old = (_value(metric, model, one, seconds) for one in (version, baseline))
    if metric.worse == "lower":
        new, old = old, new
    if metric.margin is not None:
        return f"({new}) - ({old})", metric.margin
    return f"({new}) / ({old}) - 1", metric.relative_margin or 0.0


def _value(metric: Metric, model: str, version: str, seconds: int) -> str:
    labels = f'model_name="{model}",model_version="{version}"'
    window = f"[{seconds}s]"
    if metric.kind == "errorRate":
        failed = f'sum(rate(ray_request_errors_total{{{labels},kind!~"{_CLIENTS}"}}{window}))'
        return f"({failed} or vector(0)) / sum(rate(ray_request_count_total{{{labels}}}{window}))"
    if metric.kind == "latency":
        buckets = f"sum by (le) (rate(ray_request_predict_seconds_bucket{{{labels}}}{window}))"
        return f"histogram_quantile({QUANTILES[metric.quantile]:g}, {buckets})"
    if metric.kind == "disagreement":
        raise Unknown("no other system compares answers")
    if metric.kind == "prometheus":
        said = {"version": version, "model": model}
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: said.get(found[1], found[0]), metric.query)
    return re.sub(r"[A-Za-z_]\w*", lambda found: _measure(found[0], labels, window), metric.expression)


def _measure(name: str, labels: str, window: str) -> str:
    if name in _UNEXPORTED:
        raise Unknown("no other system compares answers")
    if name not in MEASURES:
        raise Unknown(f"PromQL has no {name}() of two values")
    total = "_total" if name in _COUNTERS else ""
    return f"sum(increase(ray_{name}{total}{{{labels}}}{window}))"
