"""Histograms that are counted in the Router."""

import asyncio
import time
from typing import Any

import pytest

from serve_app.core.dataplane import DataPlane
from serve_app.core.paths import Paths
from serve_app.errors import InvalidArgument, Overloaded
from serve_app.internals.serve_gauge import MOST, Gauge, report_s
from serve_app.observability.histogram import Histogram
from serve_app.observability.logs import Lines
from serve_app.observability.metrics import RayMetrics
from tests.unit.observability.conftest import Handed
from tests.unit.planes import call, served, tensor


@pytest.fixture
def histogram() -> Any:
    return Histogram("h", "of a test", [1, 2])


def test_buckets_count_what_is_not_above_them(histogram: Histogram, handed: Handed) -> None:
    for value in (0.5, 1, 1.5, 2, 7):
        histogram.observe(value, "m", "1")
    histogram.flush()
    assert [(tags["le"], count) for tags, count in handed["h_bucket"]] == [
        ("1.0", 2),
        ("2.0", 4),
        ("+Inf", 5),
    ]
    tags = {"model_name": "m", "model_version": "1"}
    assert (handed["h_count"], handed["h_sum"]) == ([(tags, 5)], [(tags, 12.0)])


def test_what_nobody_asks_for_is_still_reported(histogram: Histogram, handed: Handed) -> None:
    """Ray's agent forgets a gauge that isn't."""
    histogram.observe(1, "idle", "1")
    histogram.flush()
    histogram.observe(1, "busy", "1")
    histogram.flush()
    assert [(tags["model_name"], count) for tags, count in handed["h_count"]] == [
        ("idle", 1), ("idle", 1), ("busy", 1),
    ]  # fmt: skip


def test_what_is_kept_of_series_does_not_grow_with_each_that_was_ever_shown(handed: Handed) -> None:
    gauge = Gauge("g", "of a test", ("at",))
    for number in range(10 * MOST):
        gauge.set(number, str(number))
        gauge.set(-number, str(number))
    assert len(gauge._tags) <= 2 * MOST
    shown = [({"at": str(number)}, value) for number in range(10 * MOST) for value in (number, -number)]
    assert handed["g"] == shown


def test_of_more_models_than_a_report_holds_those_that_were_asked_for_last_are_shown(
    handed: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond 2,000 series of a metric in one report becomes one series without a name."""
    now = 100.0
    monkeypatch.setattr("serve_app.observability.histogram.time.monotonic", lambda: now)
    histogram = Histogram("h", "of a test", [1, 2])
    for number in range(1000):
        histogram.observe(1, f"m{number}", "1")
    histogram.flush()
    assert len(handed["h_bucket"]) == MOST
    assert {tags["model_name"] for tags, _ in handed["h_count"]} == {f"m{n}" for n in range(400, 1000)}
    histogram.observe(1, "m7", "1")
    handed.clear()
    histogram.flush()  # its place in this report is another's
    assert "m7" not in {tags["model_name"] for tags, _ in handed["h_count"]}
    now += report_s()
    handed.clear()
    histogram.flush()
    found = {tags["model_name"]: count for tags, count in handed["h_count"]}
    assert (found["m7"], len(found)) == (2, 600)


def flushed_until(made: RayMetrics, handed: Handed, name: str) -> None:
    """One gauge after the other is handed on, whatever their number."""
    for _ in range(50):
        if handed[name]:
            return
        made._flush()
    raise AssertionError(f"{name} was never handed on")


async def test_a_request_that_was_never_begun_is_counted_but_took_no_time(handed: Handed) -> None:
    """Or broken requests would make a model look fast."""
    made = RayMetrics(Paths())
    plane = DataPlane(made)
    served(plane, versions=("1",))
    plane.refused(call(version="1"), InvalidArgument("no tensor"))
    made._flush()
    assert [count for _, count in handed["request_count"]] == [1]
    assert [tags["kind"] for tags, _ in handed["request_errors"]] == ["InvalidArgument"]
    assert not handed["request_predict_seconds_count"]
    answered = call(tensor([[1, 2]]), version="1")
    await plane.infer(answered)
    flushed_until(made, handed, "request_predict_seconds_sum")
    tags = {"model_name": "m", "model_version": "1"}
    assert handed["request_predict_seconds_sum"] == [(tags, answered.seconds)]


async def test_the_ways_that_requests_take_and_the_configuration_served(handed: Handed) -> None:
    paths = Paths()
    made = RayMetrics(paths)
    made.serves(7)
    for count in (paths.fast, paths.fast, paths.serve):
        count("http")
    paths.serve("batches")
    made._flush()
    made._paths._flush()
    made._paths._flush()
    found = {(tags["transport"], tags["path"]): count for tags, count in handed["request_path"]}
    assert found == {("http", "fast"): 2, ("http", "serve"): 1, ("batches", "serve"): 1}
    assert handed["router_generation"] == [({}, 7)]


async def test_refused_changes_are_there_by_model_and_gone_when_accepted(handed: Handed) -> None:
    made = RayMetrics(Paths())
    plane = DataPlane(made)
    made.watch(plane.directory)
    model = plane.directory.expect("m", "")
    plane.directory.expect("n", "")
    model.refused.refuse("", "no such file")
    list(made._refusals.steps())
    model.refused.accept("")
    plane.directory.refused = "user_config.limitz: unknown key"
    for _ in range(1000):  # one thing at a time, and as many as there is time for
        made._flush()
        if len(handed["refused_changes"]) == 4 and len(handed["router_config_refused"]) == 2:
            break
    seen = [(tags["model_name"], value) for tags, value in handed["refused_changes"]]
    assert seen == [("m", 1), ("n", 0), ("m", 0), ("n", 0)]
    assert [value for _, value in handed["router_config_refused"]] == [0, 1]


async def test_how_long_one_would_wait_and_who_was_refused(handed: Handed) -> None:
    made = RayMetrics(Paths())
    plane = DataPlane(made)
    made.watch(plane.directory)
    model = served(plane, versions=("1",))
    model.max_queued = 0
    for _ in range(2):
        with pytest.raises(Overloaded):
            await plane.infer(call(tensor([[1, 2]])))
    waiting = model.versions["1"].waiting
    assert waiting is not None
    for now in range(40):
        waiting.took(1, float(now))
        waiting.busy = True
    waiting.ahead = 5
    # As though the last of them were now.
    waiting.last = waiting._sampled = time.monotonic()
    list(made._queues.steps())
    refused = {tags["reason"]: count for tags, count in handed["requests_refused_total"]}
    assert refused == {"limit": 2, "time": 0, "room": 0}  # a rate needs the first one's 0
    [(tags, seconds)] = handed["model_expected_wait_seconds"]
    assert tags == {"model_name": "m", "model_version": "1"}
    assert seconds == pytest.approx(5 * 39 / 41)


async def test_what_became_of_models_that_are_loaded_when_they_are_asked_for(handed: Handed) -> None:
    made = RayMetrics(Paths())
    plane = DataPlane(made)
    made.watch(plane.directory)
    made._flush()
    assert not handed["model_loads"]
    assert not handed["cold_request_wait_seconds_count"]
    counts = plane.directory.cold
    counts.loads, counts.evictions = 3, 1
    counts.waits.extend([0.2, 0.4])
    made._flush()
    counts.loads = 4
    made._flush()
    assert [count for _, count in handed["model_loads"]] == [3, 1]
    assert [count for _, count in handed["model_evictions"]] == [1]
    assert [count for _, count in handed["cold_request_wait_seconds_count"]] == [2, 2]
    assert handed["cold_request_wait_seconds_sum"][0][1] == pytest.approx(0.6)


async def test_many_models_are_handed_on_in_slices(handed: Handed, monkeypatch: Any) -> None:
    """Requests come between two of them."""
    monkeypatch.setattr("serve_app.observability.metrics._SLICE_S", 0.0)
    monkeypatch.setattr("serve_app.observability.metrics._BREATH_S", 0.0)
    made = RayMetrics(Paths())
    plane = DataPlane(made)
    made.watch(plane.directory)
    names = [f"m{number}" for number in range(50)]
    for name in names:
        made._predict.observe(0.01, name, "1")
    made._flush()
    seen = handed["request_predict_seconds_count"]
    assert len(seen) == 1
    made._flush()  # while it goes on, the next one waits
    while made._steps is not None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert [tags["model_name"] for tags, _ in seen] == names


async def test_lines_that_were_dropped_are_counted(
    handed: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines()
    monkeypatch.setattr("serve_app.observability.metrics.LINES", lines)
    made = RayMetrics(Paths())
    made._flush()
    assert not handed["log_lines_dropped"]
    lines.dropped = 3
    made._flush()
    made._flush()
    assert handed["log_lines_dropped"] == [({}, 3)]


async def test_nodes_of_graphs(handed: Handed) -> None:
    made = RayMetrics(Paths())
    plane = DataPlane(made)
    plane.observers.node(call(), "g", "root", 0.5, None)
    plane.observers.node(call(), "g", "root", 1.5, Overloaded("busy"))
    flushed_until(made, handed, "graph_node_seconds_sum")
    tags = {"model_name": "g", "node": "root"}
    assert handed["graph_node_seconds_count"] == [(tags, 2)]
    assert handed["graph_node_seconds_sum"] == [(tags, 2.0)]
    assert handed["graph_node_errors"] == [({**tags, "kind": "Overloaded"}, 1)]
