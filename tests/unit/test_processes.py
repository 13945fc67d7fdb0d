"""Programs end with everything that they started, and their ends are told."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from serve_app.processes import NotReadyError, Program

CHILD = "import time; print('child', flush=True); time.sleep(60)"
UNCANCELLABLE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + CHILD
PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}])
time.sleep(60)
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Program]]:
    """Programs of a test, all stopped at its end."""
    found: list[Program] = []
    yield found
    for one in found:
        one.stop(0)


def program(started: list[Program], folder: Path, code: str, **env: str) -> Program:
    one = Program([sys.executable, "-c", code], folder / "log", cwd=folder, env=env)
    started.append(one)
    one.start()
    return one


def says(one: Program, words: str) -> None:
    assert one.wait(lambda: words in one.text(), 20, words, pause=0.02)


def test_what_it_prints_and_how_it_ended(started: list[Program], tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['A']); sys.exit(3)"
    one = program(started, tmp_path, code, A="b")
    while one.alive:
        time.sleep(0.02)
    assert one.text() == f"{tmp_path} b\n"
    assert (one.exit_code, one.stop(), one.family()) == (3, [], [])


def test_it_ends_with_what_it_started(started: list[Program], tmp_path: Path) -> None:
    one = program(started, tmp_path, PARENT)
    says(one, "child")
    family = one.family()
    parent, child = family
    assert parent.pid == one.pid
    assert os.getsid(one.pid) == one.pid  # Ctrl-C here isn't for it
    (left,) = one.stop(10)
    assert left.startswith(f"{child.pid} ")
    assert "child" in left
    assert one.exit_code == -15
    assert not any(psutil.pid_exists(process.pid) for process in family)


def test_an_orphan_is_of_the_family(started: list[Program], tmp_path: Path) -> None:
    one = program(started, tmp_path, PARENT)
    says(one, "child")
    child = one.family()[1]
    psutil.Process(one.pid).kill()
    while one.alive:
        time.sleep(0.02)
    assert [process.pid for process in one.family()] == [child.pid]
    assert len(one.stop(10)) == 1
    assert not child.is_running()


def test_who_ignores_the_signal_is_killed(started: list[Program], tmp_path: Path) -> None:
    one = program(started, tmp_path, UNCANCELLABLE)
    says(one, "child")
    (left,) = one.stop(0.2)
    assert left.startswith(str(one.pid))
    assert one.exit_code == -9


def test_waiting_returns_what_was_waited_for(started: list[Program], tmp_path: Path) -> None:
    one = program(started, tmp_path, CHILD)
    answers = iter(["", "", "here"])
    assert one.wait(lambda: next(answers), 20, "words", pause=0) == "here"


def test_why_it_isnt_ready(started: list[Program], tmp_path: Path) -> None:
    ended = program(started, tmp_path, "raise SystemExit('no such model')")
    with pytest.raises(NotReadyError, match=r"ready: it ended with 1\nno such model"):
        ended.wait(lambda: False, 20, "ready")
    slow = program(started, tmp_path, CHILD)
    with pytest.raises(NotReadyError, match=r"ready: not within 0.1 s"):
        slow.wait(lambda: False, 0.1, "ready", pause=0.02)


def test_before_it_is_started(tmp_path: Path) -> None:
    one = Program(["none"], tmp_path / "log")
    assert (one.alive, one.exit_code, one.family(), one.stop()) == (False, None, [], [])
