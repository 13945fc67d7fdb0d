"""Serve's metrics, outside of a replica: what is handed to them."""

from collections import defaultdict

import pytest
from ray.serve import metrics

Handed = defaultdict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(autouse=True)
def handed(monkeypatch: pytest.MonkeyPatch) -> Handed:
    """Tags and values, by the metric's name."""
    seen: Handed = defaultdict(list)

    class Metric:
        """As Serve's gauge and counter: names, and values with tags."""

        def __init__(self, name: str, description: str, tag_keys: tuple[str, ...] = ()) -> None:
            self._name, self._keys, self._metric = name, tag_keys, self

        def set(self, value: float, tags: dict[str, str] | None = None) -> None:
            tags = tags or {}
            assert tuple(tags) == self._keys
            seen[self._name].append((tags, value))

        record = inc = set

        def _get_final_tags(self, tags: dict[str, str]) -> dict[str, str]:
            return tags

    monkeypatch.setattr(metrics, "Gauge", Metric)
    monkeypatch.setattr(metrics, "Counter", Metric)
    return seen
