"""Whom the guard finds: by a variable, or by a file of the launch that is open. Nobody else."""

import os
import signal
import subprocess
import sys
import time

import pytest

from serve_app.tools.guard import MARK, sweep

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def start():
    started = []

    def start(code=SLEEP, **env):
        one = subprocess.Popen(
            [sys.executable, "-c", f"{code}\nprint(flush=True)\n{SLEEP}" if code != SLEEP else SLEEP],
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_marked_processes_and_those_that_write_there_end_and_no_others(start, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    marked = start(**{MARK: "this one"})
    another = start(**{MARK: "another"})
    writes = start(f"kept = open({str(folder / 'log')!r}, 'w')")
    elsewhere = start(f"kept = open({str(tmp_path / 'log')!r}, 'w')")
    for one in (writes, elsewhere):
        one.stdout.readline()
    sweep("this one", folder)
    assert marked.wait(10) is not None
    assert writes.wait(10) is not None
    assert another.poll() is None
    assert elsewhere.poll() is None


def test_one_that_takes_no_notice_is_killed(start, tmp_path):
    deaf = start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", **{MARK: "deaf"})
    deaf.stdout.readline()
    (left,) = sweep("deaf", tmp_path)
    assert left.startswith(str(deaf.pid))
    assert deaf.wait(10) is not None  # who ended it, psutil has taken note of


def test_a_folder_goes_with_a_process_that_is_killed_before_it_has_started_anything(start, tmp_path):
    code = (
        "from serve_app.tools.guard import own_folder\n"
        f"with own_folder('td-', {str(tmp_path)!r}) as folder: "
        "(folder / 'file').touch(); print(folder, flush=True); import time; time.sleep(60)"
    )
    one = start(code)
    assert one.stdout.readline()
    assert [each.stat().st_mode & 0o777 for each in tmp_path.iterdir()] == [0o700]
    one.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while [*tmp_path.iterdir()]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_folder_is_gone_where_its_block_ends(tmp_path):
    code = (
        f"from serve_app.tools.guard import own_folder\nwith own_folder('td-', {str(tmp_path)!r}): 1 / 0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ZeroDivisionError" in done.stderr
    assert [*tmp_path.iterdir()] == []
