"""The comparison's honesty, against a live server: what it must find, and what it must not."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loadtests.compare import build
from loadtests.compare.results import Results
from tests.conformance.proxy import Faults, proxy
from tests.server import MODES, ROOT, Server, Setup

pytestmark = pytest.mark.parametrize("server", [Setup(MODES[0])], indirect=True, ids=str)

SHORT = ("--parts", "load", "--steps", "2", "--seconds", "0.5", "--warm-up", "0.2")
BRIEF = (*SHORT, "--seconds", "0.25", "--warm-up", "0.1")


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "loadtests.compare", "--output", str(folder), *arguments]


def compare(folder: Path, *arguments: str, code: int = 0) -> str:
    """What it printed, run as its users run it."""
    done = subprocess.run(
        command(folder, *arguments),
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    assert "Traceback" not in text
    return text


def verdicts(folder: Path) -> dict[str, Any]:
    report = build.report(Results.load(folder / "results.json"))
    return {verdict.question: verdict for section in report.sections for verdict in section.verdicts}


@pytest.mark.long
def test_tandem_against_itself_shows_no_difference(server: Server, tmp_path: Path) -> None:
    """Of all verdicts together one run in twenty may err: so two in a row would be a fault."""
    targets = ("--target", f"one={server.url},grpc={server.grpc}")
    targets += ("--target", f"other={server.url},grpc={server.grpc}")
    cases = ("--cases", "identity/http,identity/grpc", "--rounds", "4")
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        compare(folder, *targets, *cases, *SHORT)
        found = verdicts(folder)
        assert len(found) == 8
        latencies = [found[question].tone for question in found if " at " in question]
        assert len(latencies) == 4
        # A client that was saturated leaves the questions of capacity open.
        rest = {verdict.tone for verdict in found.values()}
        if set(latencies) == {"same"} and rest <= {"same", "unknown"}:
            break
    else:
        pytest.fail(f"a difference between a server and itself: {found}")
    assert_percentiles(folder, 2 * 2 * 2 * 4)
    assert "No difference shown" in (folder / "report.md").read_text()
    assert "No difference shown" in (folder / "report.html").read_text()


def assert_percentiles(folder: Path, count: int) -> None:
    """Every percentile of the report, computed anew from the raw samples without NumPy."""
    raw = json.loads((folder / "results.json").read_text())
    samples: dict[tuple[str, str, str], list[float]] = {}
    for run in raw["runs"]:
        if run["part"] == "load":
            rate = f"{run['rate']:,.0f}/s" if run["rate"] >= 100 else f"{run['rate']:.3g}/s"
            latencies = [one / 1000 if one >= 0 else math.inf for one in run["latency_us"]]
            samples.setdefault((run["case"], run["side"], rate), []).extend(latencies)
    compared = 0
    results = Results.load(folder / "results.json")
    for section in build.report(results).sections:
        for table in section.tables:
            if "p99.9" not in table.head:
                continue
            case = "identity/grpc" if "gRPC" in section.title else "identity/http"
            for row in table.rows:
                if row[1] == "closed loop":
                    continue
                values = sorted(samples[case, row[0], row[1]])
                for head in ("p50", "p95", "p99", "p99.9"):
                    at = math.ceil(float(head[1:]) / 100 * len(values) - 1e-9) - 1
                    shown = float(row[table.head.index(head)].removesuffix(" ms").replace(",", ""))
                    assert shown == pytest.approx(values[at], rel=0.006)
                    compared += 1
    assert compared == count


@pytest.mark.long
def test_a_planted_slowdown_is_found_with_its_size(server: Server, tmp_path: Path) -> None:
    """A machine that is busy with something else may hide it once, and twice would be a fault."""
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        with proxy(server.http_port, Faults()) as plain, proxy(server.http_port, Faults(0.005)) as slow:
            targets = ("--target", f"plain={plain}", "--target", f"slow={slow}")
            compare(folder, *targets, "--cases", "identity/http", "--rounds", "4", *SHORT)
        (found,) = (verdict for question, verdict in verdicts(folder).items() if ", p50 at" in question)
        report = build.judged(Results.load(folder / "results.json"))
        (gap,) = (one.difference for question, one in report.items() if ", p50 at" in question)
        # The delay, and what else it costs the proxy.
        if found.tone == "better" and gap.high < 0 and 0.0045 < -gap.middle < 0.010:
            break
    else:
        pytest.fail(f"5 ms of delay: {found.answer}, {gap}")
    assert "plain is better" in found.answer


@pytest.mark.alone
def test_a_large_slowdown_is_found_and_percentiles_are_the_samples(
    server: Server, tmp_path: Path
) -> None:
    """The smaller one of the above. A bad round of four may hide it once, twice would be a fault."""
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        with proxy(server.http_port, Faults()) as plain, proxy(server.http_port, Faults(0.03)) as slow:
            targets = ("--target", f"plain={plain}", "--target", f"slow={slow}")
            compare(folder, *targets, "--cases", "identity/http", "--rounds", "4", *BRIEF)
        (found,) = (verdict for question, verdict in verdicts(folder).items() if ", p50 at" in question)
        if found.tone == "better":
            break
    assert "plain is better" in found.answer
    # A delay takes nothing from requests side by side: the closed loop may show it or not.
    assert any("as fast as it can" in question for question in verdicts(folder))
    assert_percentiles(folder, 2 * 2 * 4)


@pytest.mark.long
def test_a_side_too_slow_for_the_loop_is_named(server: Server, tmp_path: Path) -> None:
    with proxy(server.http_port, Faults(1.9)) as slow:
        targets = ("--target", f"plain={server.url}", "--target", f"slow={slow}")
        text = compare(tmp_path, *targets, "--cases", "identity/http", *SHORT, code=1)
    assert (
        "slow can't be measured: identity over HTTP: no request was sent and answered in 1.5 s" in text
    )


def test_a_wrong_answer_is_refused(server: Server, tmp_path: Path) -> None:
    with proxy(server.http_port, Faults(replace=(b"-2.25", b"-2.75"))) as wrong:
        text = compare(
            tmp_path, "--target", f"right={server.url}", "--target", f"wrong={wrong}",
            "--cases", "identity/http", *SHORT, code=1,
        )  # fmt: skip
    assert "right and wrong answer differently: they differ in 'x'" in text
    assert not (tmp_path / "report.html").exists()


@pytest.mark.long
def test_wrong_answers_that_come_later_are_reported(server: Server, tmp_path: Path) -> None:
    faults = Faults()
    with proxy(server.http_port, faults) as later:
        running = subprocess.Popen(
            command(
                tmp_path, "--target", f"right={server.url}", "--target", f"later={later}",
                "--cases", "identity/http", "--rounds", "2", *BRIEF,
            ),
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            seen = until(running, "later, load")
            faults.replace = (b"-2.25", b"-2.75")
            text = seen + running.communicate(timeout=120)[0]
        finally:
            running.kill()
    assert running.returncode == 1
    assert "answers under load were other ones than before" in text
    assert "answers under load were other ones than before" in (tmp_path / "report.md").read_text()


def test_a_side_that_dies_is_in_the_report(server: Server, tmp_path: Path) -> None:
    faults = Faults()
    with proxy(server.http_port, faults) as mortal:
        running = subprocess.Popen(
            command(
                tmp_path, "--target", f"alive={server.url}", "--target", f"mortal={mortal}",
                "--cases", "identity/http", "--rounds", "2", *BRIEF,
            ),
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            seen = until(running, "mortal, load")
            faults.after = 5  # a busy machine's rate is low
            text = seen + running.communicate(timeout=120)[0]
        finally:
            running.kill()
    assert running.returncode == 1
    # Of a line that is read late on a busy machine the part is over, and the next one dies.
    died = re.search(r"mortal, (load|capacity): answered nothing \(connection:", text)
    assert died, text
    report = (tmp_path / "report.md").read_text()
    assert f"mortal, {died[1]}, in round" in report
    assert "answered nothing" in report


@pytest.mark.long
def test_an_interrupted_run_keeps_its_finished_parts(server: Server, tmp_path: Path) -> None:
    targets = ("--target", f"one={server.url}", "--target", f"other={server.url}")
    running = subprocess.Popen(
        command(tmp_path, *targets, "--cases", "identity/http", "--rounds", "50", *BRIEF),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        seen = until(running, "one, load", "other, load", "one, load", "other, load")
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        text = seen + running.communicate(timeout=60)[0]
    finally:
        running.kill()
    assert running.returncode == 130, text
    assert "interrupted: what is finished is kept" in text
    assert "Traceback" not in text
    results = Results.load(tmp_path / "results.json")
    assert not results.finished
    assert len(list(results.of("load"))) >= 3
    assert "was not finished" in (tmp_path / "report.md").read_text()
    again = compare(tmp_path, "--report", str(tmp_path / "results.json"))
    assert "report.html" in again


def test_models_that_differ_are_refused(server: Server, tmp_path: Path) -> None:
    with proxy(server.http_port, Faults(replace=(b"[-1,64]", b"[-1,65]"))) as other:
        text = compare(
            tmp_path, "--target", f"one={server.url}", "--target", f"two={other}",
            "--cases", "digits/http", *SHORT, code=1,
        )  # fmt: skip
    assert "'digits' is another model on two: its inputs are pixels FP32 [-1, 65]" in text


@pytest.mark.long
def test_ones_own_model(server: Server, tmp_path: Path) -> None:
    """By a file with requests, the documented one: any model on any two servers."""
    targets = ("--target", f"one={server.url},grpc={server.grpc}")
    targets += ("--target", f"other={server.url},grpc={server.grpc}")
    compare(tmp_path, *targets, "--cases", "docs/comparison/cases.yaml", "--rounds", "2", *BRIEF)
    results = Results.load(tmp_path / "results.json")
    assert {run.case for run in results.of("load")} == {"identity/http", "identity/grpc"}
    assert [run.failed + run.wrong for run in results.runs] == [0] * len(results.runs)
    assert {run.round for run in results.of("capacity")} == {-1, 0, 1}
    assert "identity over HTTP: highest rate with p99 within 20 ms?" in verdicts(tmp_path)


def until(running: "subprocess.Popen[str]", *words: str) -> str:
    """Read what it prints until each of the words came, in their order."""
    assert running.stdout is not None
    seen, wanted, deadline = "", list(words), time.monotonic() + 120
    while wanted:
        line = running.stdout.readline()
        assert line, f"it ended early: {seen}"
        assert time.monotonic() < deadline, seen
        seen += line
        if wanted[0] in line:
            wanted.pop(0)
    return seen
