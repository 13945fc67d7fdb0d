"""Rollouts while processes are killed: what was decided holds, what wasn't goes on."""

import signal
from pathlib import Path

import pytest

from loadtests.rolling.asking import Asking
from loadtests.rolling.model import publish
from tests.serve.live import ENV, title, until
from tests.serve.test_rollouts import RATE, ask, begun, ended, first, load
from tests.server import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("rollouts")


@pytest.fixture(scope="module")
def live(start_module_server, folder) -> Server:
    """One of its own: its processes are killed."""
    return start_module_server(first(folder), env=ENV)


@pytest.mark.long
@pytest.mark.parametrize("name", ["Steward", "Router"])
def test_a_killed_process_changes_nothing_of_it(live, folder, name):
    """At any moment: what was decided holds, what wasn't goes on, and no user goes back."""
    serves = ask(live, "traffic")["versions"][-1]["version"]
    for number, errors in ((10, 0.0), (11, 0.9)):
        version = str(number + (name == "Router") * 10)
        publish(folder / "rolled", int(version), errors=errors)
        load(live)
        with Asking(live.url, "rolled", RATE, users=400) as users:
            begun(live, version)
            until(lambda: ask(live, "rollout")["phase"] == "running", "its first step")
            (process, *_) = (one for one in live.family() if title(one).endswith(f":{name}"))
            process.send_signal(signal.SIGKILL)
            found = ended(live)
        assert found["phase"] == ("rolledBack" if errors else "promoted")
        assert users.went_back({version} if errors else set()) == 0
        serves = serves if errors else version
        assert max(found["weights"].items(), key=lambda one: one[1])[0] == serves
