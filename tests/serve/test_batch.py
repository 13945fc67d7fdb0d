"""`tandem batch` on a Ray of two cores, as a RayJob runs it: nothing is kept for anything but models."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.serve.batches import config
from tests.serve.live import until
from tests.server import QUICKSTART, ROOT

pytestmark = pytest.mark.live

CLUSTER = """
import ray, sys
context = ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The variables that lead to it."""
    env = {**os.environ, "RAY_AUTH_MODE": "token", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CLUSTER]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes) as process:
        assert process.stdout
        yield {**env, "RAY_ADDRESS": process.stdout.readline().strip()}
        process.communicate("", timeout=60)


def tandem(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "serve_app", "batch", *arguments]


def run(env: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = tandem(*arguments)
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def failures(out: Path) -> list[dict[str, Any]]:
    lines = [line for one in sorted(out.glob("_failed/*")) for line in one.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def rows_of(out: Path) -> dict[str, list[Any]]:
    return pq.read_table(out).to_pydict()


def test_every_line_gets_its_embedding(
    cluster: dict[str, str], tmp_path: Path, demo_models: Path
) -> None:
    texts = [f"{animal} number {n}" for n in range(5) for animal in ("a dog", "a cat", "a zebra")]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    files = [str(tmp_path / "texts.txt"), str(tmp_path / "out.npz")]
    done = run(cluster, str(QUICKSTART), "sentences", *files, "--piece-rows", "4")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 15, "failed": 0, "written": files[1]}
    found = np.load(files[1])
    assert found["input_row"].tolist() == list(range(15))
    near = found["embedding"] @ found["embedding"].T
    for row in range(15):  # its own order: the same animal with another number is the nearest
        others = np.delete(near[row], row)
        assert texts[row].split()[1] == np.delete(np.array(texts), row)[others.argmax()].split()[1]
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt", "out.npz"]


@pytest.mark.long
def test_a_job_that_is_killed_goes_on_where_it_was(cluster: dict[str, str], tmp_path: Path) -> None:
    lines = [f"{'bad' if n % 500 == 7 else 'text'} {n}" for n in range(4000)]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    out = tmp_path / "out"
    told = [str(config(tmp_path, "Slow")), "m", str(tmp_path / "in.txt"), str(out)]
    told += ["--piece-rows", "100", "--batch-size", "10", "--keep", "text"]
    with subprocess.Popen(tandem(*told), cwd=ROOT, env=cluster, stderr=subprocess.PIPE) as process:
        until(lambda: process.poll() or len(list(out.glob("_done/*"))) > 4, "some are finished", 60)
        process.send_signal(signal.SIGKILL)
    finished = {path.name: path.stat().st_mtime_ns for path in out.glob("_done/*")}
    before = {name[:6]: (out / f"part-{name[:6]}.parquet").stat().st_mtime_ns for name in finished}
    assert len(finished) < 40
    done = run(cluster, *told)
    assert done.returncode == 0, done.stderr
    assert "pieces are finished; the others follow" in done.stderr
    rows = rows_of(out)
    good = [n for n in range(4000) if n % 500 != 7]
    assert rows["input_row"] == good  # each once, in the input's order
    assert rows["text"] == [lines[n] for n in good]
    assert rows["length"] == [len(lines[n]) for n in good]
    failed = failures(out)
    assert [one["input_row"] for one in failed] == [n for n in range(4000) if n % 500 == 7]
    assert all("ValueError: a bad one" in one["reason"] for one in failed)
    # What was finished wasn't computed again.
    assert {name: (out / f"part-{name}.parquet").stat().st_mtime_ns for name in before} == before
    again = run(cluster, *told)
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert "40 of 40 pieces are finished" in again.stderr


def test_a_mistake_that_a_worker_sees_is_said(cluster: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("one\n")
    told = [str(config(tmp_path, "Slow")), "m", str(tmp_path / "in.txt"), str(tmp_path / "out")]
    done = run(cluster, *told, "--column", "text=txet")
    assert done.returncode == 2, done.stderr
    assert "no such column; did you mean text?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_rows_that_kill_their_process_are_given_up(cluster: dict[str, str], tmp_path: Path) -> None:
    lines = [f"{'die' if n == 77 else 'text'} {n}" for n in range(200)]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    out = tmp_path / "out"
    told = [str(config(tmp_path, "Deadly")), "m", str(tmp_path / "in.txt"), str(out)]
    done = run(cluster, *told, "--piece-rows", "50", "--batch-size", "8")
    assert done.returncode == 0, done.stderr
    assert rows_of(out)["input_row"] == [n for n in range(200) if n != 77]
    (failed,) = failures(out)
    assert (failed["input_row"], failed["kind"]) == (77, "ProcessDied")
