"""The load test as its users run it: every transport, and loads over time, against a live server."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests import arrivals
from tests.server import MODES, ROOT, Server, Setup

pytestmark = pytest.mark.parametrize("server", [Setup(MODES[0])], indirect=True, ids=str)


def locust(
    server: Server, folder: Path, *arguments: str, code: int = 0, model: str = ""
) -> tuple[str, list[dict[str, str]]]:
    """What locust printed, and its statistics, the last row being the sum."""
    prefix = folder / "locust"
    ports = {"HTTP_PORT": str(server.http_port), "GRPC_PORT": str(server.grpc_port)}
    command = ["-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "--only-summary"]
    done = subprocess.run(
        [sys.executable, *command, "--csv", str(prefix), *arguments],
        cwd=ROOT,
        env={**os.environ, **ports, "MODEL": model},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    if code:
        return text, []
    with Path(f"{prefix}_stats.csv").open() as file:
        return text, list(csv.DictReader(file))


def test_every_transport_without_a_failure(server: Server, tmp_path: Path) -> None:
    _, rows = locust(server, tmp_path, "--users", "8", "--spawn-rate", "8", "--run-time", "6s")
    assert {row["Type"] for row in rows[:-1]} == {"JSON", "binary", "gRPC", "V1"}
    assert {row["Name"] for row in rows[:-1]} >= {"identity", "digits", "digits-onnx"}
    assert rows[-1]["Failure Count"] == "0"


def test_one_s_own_model_with_its_example(server: Server, tmp_path: Path) -> None:
    options = "--users", "3", "--spawn-rate", "3", "--run-time", "2s"
    _, rows = locust(server, tmp_path, *options, model="sentences")
    found = {(row["Type"], row["Name"]) for row in rows[:-1]}
    assert found == {(kind, "sentences") for kind in ("JSON", "binary", "gRPC")}
    assert rows[-1]["Failure Count"] == "0"


def test_one_s_own_model_that_isn_t_there(server: Server, tmp_path: Path) -> None:
    text, _ = locust(server, tmp_path, "--run-time", "2s", code=1, model="sentence")
    assert "serves no model 'sentence'; its models: " in text


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_open_loop_sends_its_schedule(server: Server, tmp_path: Path, processes: str) -> None:
    profile = "spike,rate=10,factor=4,at=1,length=1,duration=3"
    text, rows = locust(
        server, tmp_path, "--shape", profile, "--open-loop", "poisson", "--processes", processes,
        "--users", "8", "JsonUser", "GrpcUser",
    )  # fmt: skip
    wanted = len(arrivals.parse(profile).arrivals("poisson"))
    assert f"open loop: {wanted} of {wanted} arrivals came due, 0 have no answer" in text
    assert (rows[-1]["Request Count"], rows[-1]["Failure Count"]) == (str(wanted), "0")


def test_a_trace_is_replayed(server: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time\n" + "\n".join(str(100 + at / 10) for at in range(40)))
    text, rows = locust(server, tmp_path, "--trace", str(trace), "--speed", "2", "BinaryUser")
    assert "open loop: 40 of 40 arrivals came due, 0 have no answer" in text
    assert rows[-1]["Request Count"] == "40"


def test_users_follow_a_profile(server: Server, tmp_path: Path) -> None:
    text, rows = locust(server, tmp_path, "--shape", "steps,first=1,step=3,count=2,each=2", "JsonUser")
    assert "Shape test completed" in text
    with (tmp_path / "locust_stats_history.csv").open() as file:
        users = {row["User Count"] for row in csv.DictReader(file)}
    assert users & {"1", "4"}
    assert rows[-1]["Failure Count"] == "0"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--shape", "spik,rate=1"], "no shape 'spik', did you mean 'spike'?"),
        (["--open-loop", "poisson"], "--open-loop needs a --shape"),
        (["--trace", "/nowhere.csv"], "No such file"),
        (["--trace", "x.csv", "--shape", "constant,rate=1"], "--trace takes no --shape"),
    ],
)
def test_wrong_options_end_the_run_at_once(
    server: Server, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    text, _ = locust(server, tmp_path, *arguments, code=1)
    assert problem in text


SLOW = """
import time
import gevent
from loadtests import payloads, shapes
from loadtests.users import ModelUser

class Slow(ModelUser):
    host = "http://nowhere"
    tasks = [lambda user: user.infer(payloads.identity())]

    def exchange(self, sample, waited):
        WORK
        self.environment.events.request.fire(
            request_type="slow", name="slow", response_time=(waited + 0.2) * 1000,
            response_length=0, exception=None, context={},
        )
"""


@pytest.mark.alone
def test_a_latency_counts_from_when_the_request_was_due(server: Server, tmp_path: Path) -> None:
    """One connection, 200 ms an answer, ten requests a second: the last one waited two seconds."""
    (tmp_path / "slow.py").write_text(SLOW.replace("WORK", "gevent.sleep(0.2)"))
    options = ["-f", str(tmp_path / "slow.py"), "--users", "1"]
    text, rows = locust(
        server, tmp_path, *options, "--shape", "constant,rate=10,duration=2", "--open-loop", "constant"
    )
    assert "20 of 20 arrivals came due, 0 have no answer" in text
    assert 1900 < float(rows[-1]["Max Response Time"]) < 2600
    assert float(rows[-1]["Min Response Time"]) < 300
    assert "saturated" not in text


@pytest.mark.alone
def test_a_saturated_client_says_so(server: Server, tmp_path: Path) -> None:
    """The users keep the processor to themselves: what is due comes late to them."""
    busy = "until = time.perf_counter() + 0.2\n        while time.perf_counter() < until: pass"
    (tmp_path / "busy.py").write_text(SLOW.replace("WORK", busy))
    options = ["-f", str(tmp_path / "busy.py"), "--users", "8"]
    text, _ = locust(
        server, tmp_path, *options, "--shape", "constant,rate=10,duration=2", "--open-loop", "constant"
    )
    assert "the client is saturated, its lateness is in the latencies: add --processes" in text
