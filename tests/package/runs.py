"""Runs of a comparison whose figures are known."""

import math
from typing import Any

from loadtests.compare.options import Slo
from loadtests.compare.results import Run

SLO = Slo(0.99, 0.05)


def run(rate: float, latencies: list[float], **extra: Any) -> Run:
    """Evenly spaced requests; seconds, infinite for the failed."""
    step = 1 / rate if rate else 0.001
    values = {
        "part": "load", "case": "identity/http", "side": "ours", "round": 0, "rate": rate,
        "seconds": len(latencies) * step,
        "due_us": [round(at * step * 1e6) for at in range(len(latencies))],
        "latency_us": [-1 if math.isinf(one) else round(one * 1e6) for one in latencies],
        "late_us": [100] * len(latencies), "errors": {}, "checked": 0, "wrong": 0, "client_cpu": 0.1,
    }  # fmt: skip
    return Run(**{**values, **extra})
