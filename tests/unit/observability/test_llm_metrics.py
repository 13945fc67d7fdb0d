"""What an engine counts, on its way to Ray."""

import asyncio
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric

from serve_app.llm import metrics
from serve_app.llm.metrics import EngineMetrics
from tests.unit.observability.conftest import Handed


@pytest.fixture(autouse=True)
def replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "shown_for", lambda: 1.0)
    context = SimpleNamespace(replica_id=SimpleNamespace(unique_id="r1"))
    monkeypatch.setattr(metrics, "get_replica_context", lambda: context)


async def test_an_engines_metrics_keep_their_names_and_values(handed: Handed) -> None:
    registry = CollectorRegistry()
    tokens = Counter("vllm:generation_tokens", "t", ["model_name"], registry=registry).labels("m")
    latency = Histogram("vllm:latency", "l", ["model_name"], buckets=[1, 2], registry=registry).labels(
        "m"
    )
    Counter("other", "not the engine's", registry=registry).inc()
    made = EngineMetrics(registry)
    tokens.inc(5)
    for value in (0.5, 1.5, 7):
        latency.observe(value)
    for _ in range(2):  # a family each
        made._flush()
    tags = {"model_name": "m", "ReplicaId": "r1"}
    assert handed == {
        "vllm_generation_tokens_total": [(tags, 5)],
        "vllm_latency_bucket": [
            ({"model_name": "m", "le": le, "ReplicaId": "r1"}, count)
            for le, count in (("1.0", 1), ("2.0", 2), ("+Inf", 3))
        ],
        "vllm_latency_count": [(tags, 3)],
        "vllm_latency_sum": [(tags, 9)],
    }


async def test_what_does_not_change_and_what_comes_later_is_handed_on_as_well(handed: Handed) -> None:
    registry = CollectorRegistry()
    made = EngineMetrics(registry)
    Counter("vllm:first", "f", registry=registry)
    for _ in range(2):
        made._flush()
    Counter("vllm:second", "s", registry=registry).inc()
    for _ in range(8):
        made._flush()
    assert [value for _, value in handed["vllm_first_total"]][:2] == [0, 0]
    assert handed["vllm_second_total"][0] == ({"ReplicaId": "r1"}, 1)


async def test_one_that_fails_does_not_end_the_others(handed: Handed) -> None:
    registry = CollectorRegistry()
    Counter("vllm:first", "f", registry=registry)
    Counter("vllm:second", "s", registry=registry)
    made = EngineMetrics(registry)
    hand_on, asked, again = made._hand_on, [], asyncio.Event()

    def first_fails(family: Metric) -> None:
        asked.append(family.name)
        if len(asked) == 1:
            raise ValueError(family.name)
        hand_on(family)
        if len(asked) == 3:
            again.set()

    made._hand_on = first_fails  # type: ignore[method-assign]
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    await asyncio.wait_for(again.wait(), 5)
    assert asked == ["vllm:first", "vllm:second", "vllm:first"]
    assert {"vllm_first_total", "vllm_second_total"} <= set(handed)
