"""How many series of a metric reach Ray's page: as many as one report may have, again and again."""

import subprocess
import sys
from pathlib import Path

import pytest

_AGENT = """
from prometheus_client import generate_latest
from ray._private.telemetry.open_telemetry_metric_recorder import OpenTelemetryMetricRecorder
from serve_app.internals.serve_gauge import MOST

def page():
    return [row for row in generate_latest().decode().splitlines() if row.startswith("ray_")]

def of(rows, name, part):
    return sum(row.startswith(f"ray_{name}") and f'at="{part}-' in row for row in rows) == MOST

recorder = OpenTelemetryMetricRecorder()
recorder.register_gauge_metric("gauge", "d")
recorder.register_counter_metric("counter", "d")
for part in range(3):
    recorder._gauge_metric_ttl_s = 600
    for name in ("gauge", "counter"):
        for at in range(MOST):
            recorder.set_metric_value(name, {"at": f"{part}-{at}"}, 1)
    rows = page()
    print(of(rows, "gauge", part), of(rows, "counter", part), of(rows, "counter", 0))
    recorder._gauge_metric_ttl_s = 0  # as if two reports had come without them
    print("gauge" in str(page()))
"""

_REPORT = """
import sys, time, urllib.request
import ray
from ray.util.metrics import Counter, Gauge
from serve_app.internals.ray_start import patient
from serve_app.internals.serve_gauge import MOST

@ray.remote
class Reports:
    def __init__(self):
        self.gauge = Gauge("gauge_of_a_test", description="d", tag_keys=("at",))
        self.counter = Counter("counter_of_a_test", description="d", tag_keys=("at",))

    def both(self):
        for at in range(MOST):
            self.gauge.set(1, {"at": f"one-{at}"})
            self.counter.inc(1, {"at": f"one-{at}"})

def rows(name):
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    page = urllib.request.urlopen(url).read().decode()
    mine = [row for row in page.splitlines() if row.startswith(f"ray_{name}_of_a_test")]
    return sum('at="one-' in row and not row.endswith(" 0.0") for row in mine)

patient()
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False,
         _system_config={"metrics_report_interval_ms": 10_000})  # a gauge is shown for two reports
reports = Reports.remote()
until = time.monotonic() + 600
while (found := (rows("gauge"), rows("counter"))) != (MOST, MOST):
    if time.monotonic() > until:
        sys.exit(f"{found[0]} gauges, {found[1]} counters")
    ray.get(reports.both.remote())  # again, as what a failed report had counted is lost
    time.sleep(4)
"""


def _run(program: str, seconds: float) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout.strip()


def test_series_of_earlier_reports_take_no_room() -> None:
    """With OpenTelemetry's SDK from 1.45 on the first 2,000 of a node are all that there ever are.

    Gauges of earlier reports are gone, counters stay.
    """
    assert _run(_AGENT, 240).splitlines() == ["True True True", "False"] * 3


@pytest.mark.long
def test_one_report_holds_as_many() -> None:
    _run(_REPORT, 900)
