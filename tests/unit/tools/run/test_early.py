"""`tandem run` that is stopped before it has started anything."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.server import ROOT


def reached(fifo) -> int:
    """Its end for writing, as soon as somebody waits at the other one."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_and_leaves_no_files(tmp_path, number):
    os.mkfifo(tmp_path / "slow.yaml")  # its reader waits for ever
    env = {**os.environ, "RAY_TMPDIR": str(tmp_path / "t"), "HOME": str(tmp_path)}
    (tmp_path / "t").mkdir()
    command = [sys.executable, "-m", "serve_app", "run", str(tmp_path / "slow.yaml")]
    started = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    writer = reached(tmp_path / "slow.yaml")
    started.send_signal(number)
    said, _ = started.communicate(timeout=20)
    os.close(writer)
    assert (started.returncode, said) == (0, "stopping\n")
    assert list((tmp_path / "t").iterdir()) == []
