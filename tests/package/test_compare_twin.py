"""The comparison with servers that it starts itself: KServe's, which start fast, and Tandem."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loadtests.compare import build
from loadtests.compare.results import Results
from tests.server import ROOT

TWINS = ("--target", "kserve-tuned", "--target", "again=kserve-tuned")
SHORT = ("--steps", "2", "--seconds", "0.5", "--warm-up", "0.2", "--rounds", "2", "--starts", "3")
SHORT += ("--spike", "1", "--calm", "0.5", "--counts", "1,2", "--cases", "identity/http,identity/grpc")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not (ROOT / ".venv-kserve" / ".bench").exists(),
        reason="KServe isn't set up: make .venv-kserve/.bench",
    ),
]


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "loadtests.compare", "--output", str(folder), *arguments]


def servers(root: int) -> list[psutil.Process]:
    """What a comparison has started and what still lives, but for its clients."""
    family = psutil.Process(root).children(recursive=True)
    return [process for process in family if "loadtests.kserve" in " ".join(process.cmdline())]


@pytest.mark.long
def test_a_start_and_a_load_and_their_report(demo_models: Path, tmp_path: Path) -> None:
    arguments = (*TWINS, *SHORT, "--starts", "1", "--cases", "identity/http", "--parts", "start,load")
    arguments += ("--kept",)
    done = subprocess.run(
        command(tmp_path, *arguments),
        cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert "kserve-tuned against again: about" in text
    results = Results.load(tmp_path / "results.json")
    assert results.finished
    assert results.events == []
    for start in results.starts:
        assert start.load is not None
        assert 0 < start.load < start.ready <= start.first
    assert [run.failed for run in results.runs] == [0] * len(results.runs)
    assert sum(run.wrong for run in results.runs) == 0
    assert {start.round for start in results.starts} == {-1}  # with another one beside it none counts
    assert {run.others_cpu > 0 for run in results.of("load")} == {True, False}
    titles = [section.title for section in build.report(results).sections]
    assert titles == ["Start", "Latency and throughput: identity over HTTP", "Cost"]
    page = (tmp_path / "report.html").read_text()
    for title in titles:
        assert title in page
        assert title in (tmp_path / "report.md").read_text()


@pytest.mark.long
def test_all_parts_and_the_report(demo_models: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, *TWINS, *SHORT),
        cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert "kserve-tuned against again: about" in text
    assert " left] " in text
    results = Results.load(tmp_path / "results.json")
    assert results.finished
    assert results.events == []
    assert {start.round for start in results.starts} == {-1, 0, 1}
    for start in results.starts:
        assert start.load is not None
        assert 0 < start.load < start.ready <= start.first
    assert [run.failed for run in results.runs] == [0] * len(results.runs)
    assert sum(run.wrong for run in results.runs) == 0
    assert sum(run.checked for run in results.runs) > 500
    for run in results.of("switch"):
        assert {version for _, version in run.versions} == {"1", "2"}
        assert run.moments["asked"] >= 4
    assert {(run.count, run.side) for run in results.of("models")} == {
        (1, "kserve-tuned"), (2, "kserve-tuned"), (1, "again"), (2, "again"),
    }  # fmt: skip
    titles = [section.title for section in build.report(results).sections]
    assert titles == [
        "Start",
        "Latency and throughput: identity over HTTP",
        "Latency and throughput: identity over gRPC",
        "Another version of a model under load",
        "Many models in one server",
        "A burst",
        "Cost",
    ]
    page = (tmp_path / "report.html").read_text()
    for title in titles:
        assert title in page
        assert title in (tmp_path / "report.md").read_text()


@pytest.mark.long
def test_a_server_that_is_killed_is_in_the_report(demo_models: Path, tmp_path: Path) -> None:
    """And the comparison goes on, with the rounds that follow."""
    running = subprocess.Popen(
        command(tmp_path, *TWINS, *SHORT, "--parts", "load", "--seconds", "1.5"),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if "kserve-tuned, load" in line:
                break
        time.sleep(0.5)
        (server,) = servers(running.pid)
        server.kill()
        text = running.communicate(timeout=200)[0]
    finally:
        running.kill()
    assert running.returncode == 1, text
    assert "kserve-tuned, load: its server was killed by signal 9 under load; it last said:" in text
    report = (tmp_path / "report.md").read_text()
    assert "KServe tuned, load, in round 1: its server was killed by signal 9" in report
    results = Results.load(tmp_path / "results.json")
    assert results.finished
    assert {run.round for run in results.of("load", side="kserve-tuned")} == {0, 1}


@pytest.mark.long
def test_an_interrupted_run_stops_its_servers(demo_models: Path, tmp_path: Path) -> None:
    running = subprocess.Popen(
        command(tmp_path, *TWINS, *SHORT, "--parts", "load", "--cases", "identity/http", "--kept"),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if "again, load" in line:
                break
        started = servers(running.pid)
        assert len(started) == 2
        os.kill(running.pid, signal.SIGTERM)
        text = running.communicate(timeout=60)[0]
    finally:
        running.kill()
    assert running.returncode == 130, text
    assert psutil.wait_procs(started, timeout=5)[1] == []


@pytest.mark.long
def test_tandem_switches_as_serve_deploy_does(demo_models: Path, tmp_path: Path) -> None:
    arguments = ("--target", "tandem", "--target", "kserve-tuned", *SHORT, "--parts", "switch")
    done = subprocess.run(
        command(tmp_path, *arguments),
        cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    results = Results.load(tmp_path / "results.json")
    runs = list(results.of("switch", side="tandem"))
    assert len(runs) == 2
    for run in runs:
        assert run.failed == 0
        assert run.versions[0][1] == "1"
        assert run.versions[-1][1] == "2"
    for start in results.starts:
        if start.side == "tandem":
            assert start.platform is not None
            assert start.platform > 1
