"""A version that ends the process that loads it: the next processes serve without it."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from serve_app.errors import ConfigError
from serve_app.runtimes import attempts
from serve_app.runtimes.host import ModelHost
from tests.unit.runtimes.test_versions_apart import Times, host, write


class Deadly(Times):
    """Ends its process where its file says so, as a lack of memory would."""

    def load(self, folder):
        if (folder / "by").read_text() == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        super().load(folder)


PROGRAM = """
import sys
from pathlib import Path
from tests.unit.runtimes.test_attempts import deadly
made = deadly(Path(sys.argv[1]))
made.load()
print(list(made.versions), list(made.failed.values()), made.passing)
"""


def deadly(folder) -> ModelHost:
    return host(folder, load=False, versions="latest", **{"class": f"{__name__}:Deadly"})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(attempts.tempfile, "tempdir", None)
    (tmp_path / "m").mkdir()
    return tmp_path / "m"


def started(folder) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_after_three_processes_the_others_serve_without_it(place):
    write(place, "1", "10")
    write(place, "2", "deadly")
    assert [started(place).returncode for _ in range(attempts.MOST)] == [-signal.SIGKILL] * 3
    done = started(place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['1'] [\"model 'm' version 2: 3 processes ended while they loaded it")
    assert done.stdout.endswith(" False\n")  # nobody tries it again and again
    write(place, "2", "20")  # other files are another matter
    assert started(place).stdout == "['2'] [] False\n"


def left(key: str, pid: int) -> None:
    folder = attempts._folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / f"{attempts.hashlib.sha256(repr(key).encode()).hexdigest()[:32]}-{pid}").touch()


GONE = 2**22 + 7  # above any process's number


def test_those_that_still_load_dont_count_and_one_that_loads_forgives(monkeypatch):
    for at in range(2):
        left("it", GONE + at)
    left("it", os.getppid())
    for _ in range(2):
        with attempts.attempt("it"):
            pass
    assert [one.name.rpartition("-")[2] for one in attempts._folder().iterdir()] == [str(os.getppid())]


def test_it_is_forgotten_after_a_while(monkeypatch):
    for at in range(3):
        left("it", GONE + at)
    with (
        pytest.raises(ConfigError, match="3 processes ended while they loaded it"),
        attempts.attempt("it"),
    ):
        pass
    with attempts.attempt("another"):
        pass
    later = time.time() + attempts.FOR_S + 1
    monkeypatch.setattr(attempts.time, "time", lambda: later)
    with attempts.attempt("it"):
        pass


def test_what_raises_leaves_nothing(place):
    with pytest.raises(ZeroDivisionError), attempts.attempt("it"):
        1 / 0  # noqa: B018
    assert list(attempts._folder().iterdir()) == []


def test_what_others_could_have_written_counts_for_nothing():
    for at in range(attempts.MOST):
        left("it", GONE + at)
    attempts._folder().chmod(0o777)
    with attempts.attempt("it"):
        pass


def test_where_nothing_can_be_written_it_is_loaded_all_the_same(monkeypatch):
    monkeypatch.setattr(attempts, "_folder", lambda: attempts.Path("/proc/nowhere"))
    with attempts.attempt("it"):
        pass


def test_whoever_tidies_up_ends_no_load():
    with attempts.attempt("m"):
        shutil.rmtree(attempts._folder())
    with attempts.attempt("m"):
        assert attempts._folder().is_dir()
