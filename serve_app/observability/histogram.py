"""A histogram over Ray's gauges."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from serve_app.internals.serve_gauge import MOST, Gauge, report_s
from serve_app.observability.shown import Shown

TAGS = ("model_name", "model_version")


class Histogram:
    """A histogram that is counted here and exported as what Prometheus makes of one: gauges.

    With a histogram of its own, Ray's agent on the node observes every value once more, ten seconds'
    worth at a time: a fifth of a core at 4,000 values per second, and a sum of the buckets' middles.
    Of more models than a report has room for, those that were asked for last are shown.
    """

    def __init__(
        self, name: str, description: str, boundaries: list[Any], tags: tuple[str, str] = TAGS
    ) -> None:
        self._bounds = boundaries
        self._names = [*(str(float(bound)) for bound in boundaries), "+Inf"]
        self._bucket = Gauge(f"{name}_bucket", description, (*tags, "le"))
        self._count = Gauge(f"{name}_count", description, tags)
        self._sum = Gauge(f"{name}_sum", description, tags)
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._sums: Counter[tuple[str, str]] = Counter()
        self._told: dict[tuple[str, str], float] = {}  # their sums at the last look
        self._shown = Shown[tuple[str, str]](MOST // len(self._names), report_s())

    def observe(self, value: float, model: str, version: str) -> None:
        """One value, by what the two tags are."""
        key = model, version
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0] * len(self._names)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[key] += value  # type: ignore[assignment]  # typed for whole numbers

    def flush(self) -> None:
        """Hand on everything: Ray forgets a gauge that nobody sets for a while."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[None]:
        """The same, a model's version at a time."""
        told, self._told = self._told, dict(self._sums)
        self._shown.noted |= {key: None for key, total in self._told.items() if told.get(key) != total}
        for key in self._shown.keys(time.monotonic()):
            upto = list(accumulate(self._counts[key]))
            for name, count in zip(self._names, upto, strict=True):
                self._bucket.set(count, *key, name)
            self._count.set(upto[-1], *key)
            self._sum.set(self._sums[key], *key)
            yield
