"""NVIDIA's load generator for LLMs, unmodified, in an environment of its own (.venv-aiperf)."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.llm.serving import MODEL, WEIGHTS
from tests.server import ROOT, Server

AIPERF = ROOT / ".venv-aiperf" / "bin" / "aiperf"
REQUESTS = 12

pytestmark = [
    pytest.mark.long,
    pytest.mark.live,
    pytest.mark.skipif(not AIPERF.exists(), reason="no aiperf: make .venv-aiperf/.done"),
]


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_aiperf_reports(llm: Server, tmp_path: Path, endpoint: str, streaming: bool) -> None:
    command = [str(AIPERF), "profile", "--model", MODEL, "--url", llm.url, "--endpoint-type", endpoint]
    command += ["--tokenizer", str(WEIGHTS), "--concurrency", "4", "--request-count", str(REQUESTS)]
    # Without an end of its own, which the model may choose at once: an empty text counts as a failure.
    command += ["--isl", "16", "--osl", "16", "--extra-inputs", "ignore_eos:true"]
    command += ["--ui", "none", "--artifact-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, *(["--streaming"] if streaming else [])],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = tmp_path.rglob("profile_export_aiperf.json")
    found = json.loads(report.read_text())
    assert found["request_count"]["avg"] == REQUESTS
    assert not found.get("error_summary")
    assert found["request_latency"]["avg"] > 0
    assert found["output_sequence_length"]["avg"] > 0
    if streaming:
        assert 0 < found["time_to_first_token"]["avg"] <= found["request_latency"]["avg"]
