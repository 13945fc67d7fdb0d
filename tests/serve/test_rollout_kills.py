"""Rollouts while processes are killed: what was decided holds, what wasn't goes on."""

import signal
from pathlib import Path

import pytest

from loadtests.rolling.asking import Asking
from loadtests.rolling.model import publish
from tests.serve.live import ENV, processes
from tests.serve.rolled import MOST, RATE, Rolled
from tests.serve.test_rollouts import first


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("rollouts")


@pytest.fixture(scope="module")
def rolled(start_module_server, folder) -> Rolled:
    """On a server of its own: its processes are killed."""
    return Rolled(start_module_server(first(folder), env=ENV), "rolled")


@pytest.mark.long
@pytest.mark.parametrize("name", ["Steward", "Router"])
def test_a_killed_process_changes_nothing_of_it(rolled, folder, name):
    """At any moment: what was decided holds, what wasn't goes on, and no user goes back."""
    serves = rolled.ask("traffic")["versions"][-1]["version"]
    for number, errors in ((10, 0.0), (11, 0.9)):
        version = str(number + (name == "Router") * 10)
        publish(folder / "rolled", int(version), errors=errors)
        rolled.load()
        with Asking(rolled.server.url, "rolled", RATE, users=400, most=MOST) as users:
            rolled.begin(version)
            rolled.running()
            process, *_ = processes(rolled.server, f":{name}")
            process.send_signal(signal.SIGKILL)
            found = rolled.ended()
        assert found["phase"] == ("rolledBack" if errors else "promoted")
        assert users.went_back({version} if errors else set()) == 0
        serves = serves if errors else version
        assert max(found["weights"].items(), key=lambda one: one[1])[0] == serves
