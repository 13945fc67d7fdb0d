"""An engine's own metrics on Ray's page, under the names that they have on the engine's."""

import asyncio
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from ray.serve import get_replica_context

from serve_app.internals.serve_gauge import Gauge, shown_for

_ENGINE = "vllm:"


class EngineMetrics:
    """Hands on what the engine's front end counts with prometheus_client in this process.

    vLLM's own way to Ray is a record for every token in the front end, and again in Ray's agent on
    the node. To be made inside a Serve replica.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._replica = get_replica_context().replica_id.unique_id
        self._gauges: dict[str, Gauge] = {}
        self._families: Iterator[Metric] = iter(())
        self._handed_on = 0  # in this round
        self._round_s = shown_for() / 2
        self._pause_s = self._round_s / 100  # vLLM has fewer; they are counted in the first round
        self._loop = asyncio.get_running_loop()
        self._flush()

    def _flush(self) -> None:
        """One family each time: all at once would hold up tokens."""
        self._loop.call_later(
            self._pause_s, self._flush
        )  # first: one that fails is logged, and passed by
        for family in self._families:
            if family.name.startswith(_ENGINE):
                self._handed_on += 1
                self._hand_on(family)
                return
        if self._handed_on:
            self._pause_s, self._handed_on = self._round_s / (self._handed_on + 1), 0
        self._families = iter(self._registry.collect())

    def _hand_on(self, family: Metric) -> None:
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            gauge = self._gauges.get(sample.name)
            if gauge is None:
                # As vLLM names it on Ray's page: what is no letter, digit or _ is one, and a replica.
                keys = (*sample.labels, "ReplicaId")
                gauge = Gauge(sample.name.replace(":", "_"), family.documentation, keys)
                self._gauges[sample.name] = gauge
            gauge.set(sample.value, *sample.labels.values(), self._replica)
