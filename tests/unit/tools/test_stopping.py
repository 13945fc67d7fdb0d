"""However a command in the foreground ends, nothing that it started outlives it."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from serve_app.processes import Program, killed

# With a child, and an orphan that has left the session.
CODE = """
import os, subprocess, sys, time
from serve_app.tools.stopping import everything_stopped
with everything_stopped():
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    subprocess.Popen(sleep)
    subprocess.run(["sh", "-c", "setsid sleep 60 &"])
    print("inside", flush=True)
    {}
"""
STAY = "time.sleep(60)"
# An exception that a signal raises inside a destructor goes no further.
LOST = """
    class Slow:
        def __del__(self):
            print("in the destructor", flush=True)
            time.sleep(1)
    one = Slow(); del one
    time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    programs: list[Program] = []

    def start(last: str) -> tuple[Program, list[psutil.Process]]:
        one = Program([sys.executable, "-c", CODE.format(last.strip())], tmp_path / "log")
        programs.append(one)
        one.start()
        one.wait(lambda: "inside" in one.text() and len(one.family()) == 4, 20, "inside")
        return one, one.family()

    yield start
    for one in programs:
        one.kill()
        one.stop(0)


def gone(family: list[psutil.Process], seconds: float = 15) -> bool:
    return killed(family, seconds) == []


def code(one: Program) -> int | None:
    assert one.pid
    return one._process.wait(15)  # psutil would take the exit code away


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(start, number):
    one, family = start(STAY)
    os.kill(one.pid, number)
    assert code(one) == 0
    assert gone(family)
    assert "stopping" in one.text()
    assert "Traceback" not in one.text()


def test_ctrl_c_in_a_terminal_reaches_all_at_once(start):
    one, family = start(STAY)
    os.killpg(one.pid, signal.SIGINT)
    assert code(one) == 0
    assert gone(family)
    assert one.text().count("Traceback") <= 1  # of the child that knows no better


def test_its_own_end(start):
    one, family = start("time.sleep(0.5); sys.exit(3)")
    assert code(one) == 3
    assert gone(family)


def test_an_end_by_compiled_code_that_leaves_no_time(start):
    one, family = start("time.sleep(0.5); os.abort()")
    assert code(one) == 1
    assert gone(family)
    assert "ended by SIGABRT" in one.text()


def test_a_signal_whose_exception_is_lost(start):
    one, family = start(LOST)
    one.wait(lambda: "in the destructor" in one.text(), 20, "destructor")
    os.kill(one.pid, signal.SIGTERM)
    assert code(one) == 0
    assert gone(family)


def test_the_first_process_killed(start):
    one, family = start(STAY)
    orphan = [process for process in family if process.name() == "sleep"]
    os.kill(one.pid, signal.SIGKILL)
    assert code(one) == -9
    assert gone([process for process in family if process not in orphan])
