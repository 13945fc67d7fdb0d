"""A gauge of Serve's that is set often."""

import ray
from ray.serve import metrics

# Of a metric's series OpenTelemetry keeps apart so many in one report of a process; the rest become one
# without labels. Some are left for those of other parts of the process.
MOST = 1_800


def report_s() -> float:
    """From one report to the next, at the longest."""
    return 1.2 * shown_for()


def shown_for() -> float:
    """How many seconds a gauge stays on Ray's page for sure when nobody sets it.

    Ray's agent forgets one after two reports without it.
    """
    milliseconds: int = ray._config.metrics_report_interval_ms()
    return max(milliseconds, 1000) / 1000


class Gauge:
    """Serve's gauge, its tags merged and checked once and not per value."""

    def __init__(self, name: str, description: str, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._gauge = metrics.Gauge(name, description=description, tag_keys=keys)
        self._tags: dict[tuple[str, ...], dict[str, str]] = {}

    def set(self, value: float, *tags: str) -> None:
        """The value from now on, for the tags that belong to the keys."""
        final = self._tags.get(tags)
        if final is None:
            if len(self._tags) >= 2 * MOST:  # of models that came and went
                self._tags.clear()
            named = dict(zip(self._keys, tags, strict=True))
            self._gauge.set(value, named)  # through the front door once: it checks the tags
            self._tags[tags] = self._gauge._get_final_tags(named)
        else:
            self._gauge._metric.record(value, tags=final)
