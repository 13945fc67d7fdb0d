"""What is printed to somebody who reads no more, as `head` doesn't."""

import signal
import subprocess
import sys

import pytest

from tests.server import ROOT


@pytest.mark.parametrize(
    "arguments", [["check", "configs/quickstart.yaml"], ["check", "rayservice.yaml"]]
)
def test_it_ends_without_a_traceback(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "serve_app", *arguments]
    started = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    said = started.stderr.read()
    started.stderr.close()
    assert (started.wait(60), said) == (128 + signal.SIGPIPE, "")
