"""How many series of a metric reach Ray's page: as many as one report may have, again and again."""

import subprocess
import sys
from pathlib import Path

_REPORTS = """
import time, urllib.request
import ray
from ray.util.metrics import Gauge
from serve_app.internals.serve_gauge import MOST

@ray.remote
def reports():
    gauge = Gauge("of_a_test", description="d", tag_keys=("at",))
    for part in range(3):
        for at in range(MOST):
            gauge.set(part, {"at": f"{part}-{at}"})
        time.sleep(2.2)

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False,
         _system_config={"metrics_report_interval_ms": 1000})
ray.get(reports.remote())
(node,) = ray.nodes()
url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
page = urllib.request.urlopen(url).read().decode()
rows = [line for line in page.splitlines() if line.startswith("ray_of_a_test{")]
lost = sum("overflow=\\"true" in row for row in rows)
print("found", sum('at="2-' in row for row in rows), MOST, lost)
"""


def test_series_that_are_gone_take_no_room() -> None:
    """With OpenTelemetry's SDK from 1.45 on the first 2,000 of a node are all that there ever are."""
    ended = subprocess.run(
        [sys.executable, "-c", _REPORTS], cwd=Path(__file__).parents[2], capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    _, there, most, overflow = ended.stdout.strip().splitlines()[-1].split()
    assert (there, overflow) == (most, "0")
