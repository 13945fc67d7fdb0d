"""PyTriton's clients, MLServer's codecs and NVIDIA's perf_analyzer, as they are installed."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance import golden
from tests.conformance.clients.driver import unpack
from tests.conformance.values import same
from tests.server import ROOT, Server

VENV = ROOT / ".venv-clients"
SCRIPTS = Path(__file__).parent / "clients"
ANALYZER = VENV / "perf_analyzer" / "perf_analyzer" / "bin" / "perf_analyzer"
ROWS = 9

pytestmark = pytest.mark.skipif(
    not (VENV / ".done").exists(), reason="the clients aren't installed: make .venv-clients/.done"
)


def ran(server: Server, script: str, folder: Path) -> dict[str, Any]:
    """What a client's script wrote, by protocol."""
    np.save(folder / "pixels.npy", golden.held_out()[0][:ROWS])
    came = folder / "results.json"
    command = [VENV / "bin" / "python", SCRIPTS / f"{script}.py", server.url, server.grpc]
    done = subprocess.run(
        [*command, folder / "pixels.npy", came],
        env={**os.environ, "NO_PROXY": "127.0.0.1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(came.read_text())


def check_digits(outputs: list[dict[str, Any]], rows: int = ROWS) -> None:
    expected = golden.digits(golden.held_out()[0][:rows], "2")
    found = {output["name"]: unpack(output) for output in outputs}
    same(found["label"].reshape(-1), expected["label"])
    np.testing.assert_allclose(
        found["probabilities"].reshape(rows, 10), expected["probabilities"], rtol=0, atol=1e-6
    )


def check_texts(outputs: list[dict[str, Any]]) -> None:
    (embedding,) = outputs
    found = unpack(embedding)
    assert (embedding["name"], found.shape) == ("embedding", (2, 384))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)


def test_pytriton(server: Server, tmp_path: Path) -> None:
    for result in ran(server, "with_pytriton", tmp_path).values():
        for way in ("batch", "named", "parameters", "futures", "asyncio"):
            check_digits(result[way])
        check_digits(result["sample"], 1)
        check_texts(result["texts"])
        assert result["nobody"] == "PyTritonClientTimeoutError"  # it polled


def test_mlservers_codecs(server: Server, tmp_path: Path) -> None:
    for result in ran(server, "with_mlserver", tmp_path).values():
        check_digits(result["input codec"])
        check_digits(result["request codec"])
        check_texts(result["texts"])


@cache
def analyzer() -> str:
    """The command, or why there is none: its wheel is for glibc 2.38 and later."""
    command = os.environ.get("PERF_ANALYZER", str(ANALYZER))
    done = subprocess.run([command, "--version"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"perf_analyzer doesn't run here: {done.stderr.strip()[-200:]}")
    return command


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "digits", "-i", "grpc", "-b", "4"),
        ("-m", "digits-onnx", "-i", "http"),
        ("-m", "digits", "-i", "grpc", "--streaming", "--concurrency-range", "4"),
        ("-m", "digits", "-i", "grpc", "--sequence-id-range", "1:5", "--async"),
        ("-m", "sentences", "-i", "http", "-b", "2"),
    ],
    ids=" ".join,
)
def test_perf_analyzer(server: Server, arguments: tuple[str, ...]) -> None:
    url = server.grpc if "grpc" in arguments else server.url.removeprefix("http://")
    short = ("--request-count", "100")  # in one window, however long that takes
    done = subprocess.run(
        [analyzer(), *arguments, "-u", url, *short], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    assert "Successful request count" in done.stdout
    assert "compute input" in done.stdout
