"""How many series of a metric reach Ray's page: as many as one report may have, again and again."""

import subprocess
import sys
from pathlib import Path

_REPORTS = """
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

    def set(self, part):
        for at in range(MOST):
            self.gauge.set(1, {"at": f"{part}-{at}"})

    def count(self, part):
        for at in range(MOST):
            self.counter.inc(1, {"at": f"{part}-{at}"})

def rows(name):
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    page = urllib.request.urlopen(url).read().decode()
    return [line for line in page.splitlines() if line.startswith(f"ray_{name}_of_a_test")]

def of(part, name):
    return sum(f'at="{part}-' in row and not row.endswith(" 0.0") for row in rows(name))

patient()
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False,
         _system_config={"metrics_report_interval_ms": 1000})
reports = Reports.remote()
for part in range(2):  # each when the one before was reported
    until, counted = time.monotonic() + 60, 0
    while (found := (of(part, "gauge"), of(part, "counter"))) != (MOST, MOST):
        if time.monotonic() > until:
            sys.exit(f"of part {part}: {found[0]} gauges, {found[1]} counters")
        if found[1] < MOST and time.monotonic() > counted:  # what a failed report had counted is lost
            ray.get(reports.count.remote(part))
            counted = time.monotonic() + 5
        ray.get(reports.set.remote(part))  # it is shown for two reports
        time.sleep(0.2)
print("counters:", [of(part, "counter") == MOST for part in range(2)])
"""


def test_series_of_earlier_reports_take_no_room() -> None:
    """With OpenTelemetry's SDK from 1.45 on the first 2,000 of a node are all that there ever are.

    Gauges of earlier reports are gone, counters stay.
    """
    ended = subprocess.run(
        [sys.executable, "-c", _REPORTS], cwd=Path(__file__).parents[2], capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.strip().splitlines()[-1] == "counters: [True, True]"
