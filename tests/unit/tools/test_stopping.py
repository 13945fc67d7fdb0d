"""However a command in the foreground ends, nothing that it started outlives it."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from serve_app.processes import Program, killed

# With a child, and an orphan that has left the session.
CODE = """
import os, subprocess, sys, time
from serve_app.tools.guard import own_folder
from serve_app.tools.stopping import everything_stopped
with own_folder("td-", {parent!r}), everything_stopped():
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

# One that has to be there.
VITAL = """
    import psutil
    from serve_app.tools.stopping import lives_with
    lives_with([psutil.Process(subprocess.Popen(["sleep", "61"]).pid)])
    print("vital", flush=True)
    time.sleep(60)
"""

# As it comes out of Ray's compiled code, when more than one signal came meanwhile.
BEHIND_OTHERS = """
    from serve_app.tools.stopping import _Stop
    try:
        raise _Stop
    except _Stop as error:
        try:
            raise SystemError("with an exception set") from error
        except SystemError as other:
            raise SystemError("with an exception set") from other
"""

# As Ray's compiled code does it, when it is spoken to while it ends.
ENDS_ITSELF = """
    from serve_app.tools import stopping
    stopping._sweep = lambda: os._exit(1)
    time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    programs: list[Program] = []

    def start(last: str) -> tuple[Program, list[psutil.Process]]:
        code = CODE.format(last.strip(), parent=str(tmp_path))
        one = Program([sys.executable, "-c", code], tmp_path / "log")
        programs.append(one)
        one.start()
        one.wait(lambda: "inside" in one.text() and len(one.family()) >= 4, 20, "inside")
        return one, one.family()

    yield start
    try:
        until(lambda: not [*tmp_path.glob("td-*")], "the folder is gone")
    finally:
        for one in programs:
            one.kill()
            one.stop(0)


def until(true: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


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
    os.kill(one.pid, signal.SIGKILL)
    assert code(one) == -9
    assert gone(family)


@pytest.mark.parametrize("whole_group", [True, False])
def test_all_that_could_clean_up_killed_at_once(start, whole_group):
    """What has left the session, as Ray's processes do, is left to the guard."""
    one, family = start(STAY)
    (child,) = (process for process in family if process.ppid() == one.pid and process.name() != "sleep")
    if whole_group:
        os.killpg(one.pid, signal.SIGKILL)
    else:
        for process in (psutil.Process(one.pid), child):
            process.send_signal(signal.SIGSTOP)  # so that neither hears of the other's end
        for process in (psutil.Process(one.pid), child):
            process.kill()
    assert code(one) == -9
    assert gone(family)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_of_its_processes_told_at_once(start, number):
    one, family = start(STAY)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):  # the first one told tells the others
            process.send_signal(number)
    assert code(one) == 0, one.text()
    assert gone(family)


@pytest.mark.parametrize("told", ["the first", "its child", "both"])
def test_a_stop_that_was_asked_for_is_clean_whoever_ends_the_child(start, told):
    one, family = start(ENDS_ITSELF)
    (child,) = (each for each in family if each.pid != one.pid and each.cmdline() == command_of(one))
    if told != "its child":
        os.kill(one.pid, signal.SIGINT)
    if told != "the first":
        child.send_signal(signal.SIGINT)
    assert code(one) == 0, one.text()
    assert gone(family)


def command_of(one: Program) -> list[str]:
    """The command of the first process, which the child that it forked has too."""
    return psutil.Process(one.pid).cmdline()


@pytest.mark.parametrize("last", ["raise SystemExit(3)", "raise SystemError('its own')"])
def test_one_that_fails_by_itself_is_no_clean_stop(start, last):
    one, family = start(f"time.sleep(0.5); {last}")
    assert code(one) == (3 if "Exit" in last else 1)
    assert gone(family)


def test_a_signal_whose_exception_comes_out_behind_others(start):
    one, family = start(f"time.sleep(0.5)\n{BEHIND_OTHERS}")
    assert code(one) == 0
    assert gone(family)
    assert "Traceback" not in one.text()


def test_a_process_without_which_it_cant_go_on(start):
    one, family = start(VITAL)
    one.wait(lambda: "vital" in one.text(), 20, "vital")
    (vital,) = (
        each for each in one.family() if each.cmdline()[:1] == ["sleep"] and "61" in each.cmdline()
    )
    vital.kill()
    assert code(one) == 1
    assert gone(family)
    assert "Ray has stopped: sleep ended" in one.text()
