"""Rollouts of a model whose versions run in replicas: Routers count, whichever replica answers."""

import signal
from pathlib import Path
from typing import Any

import pytest

from loadtests.rolling.asking import USER, Asking
from loadtests.rolling.model import publish
from tests.serve.configs import remote, router, write
from tests.serve.live import ENV, processes, until
from tests.serve.rolled import MOST, RATE, Rolled
from tests.server import MODES, Server, Setup


def config(folder: Path) -> Path:
    """A model with two replicas, and its first version."""
    publish(folder / "apart", 1)
    traffic = {"weights": {"1": 100}, "sticky": {"header": USER}}
    routed = router(routing={"apart": {"traffic": traffic}})
    routed["args"] = {"admin": {"timeout": 60, "stateUri": str(folder / "state")}}
    model = remote("apart", "", storageUri=str(folder / "apart"), versions="all", warmUp=False)
    model["args"]["class"] = "loadtests.rolling.model:Behaves"
    model["deployments"] = [{"name": "ModelReplica", "num_replicas": 2}]
    return write(folder / "config.yaml", routed, model)


def rolled_out(rolled: Rolled, version: int, kill: bool = False, **behaviour: float) -> dict[str, Any]:
    """That version, from beginning to end."""
    publish(rolled.server.config.parent / "apart", version, **behaviour)
    rolled.load()
    rolled.begin(str(version))
    if kill:
        rolled.running()
        one, _ = processes(rolled.server, ":ServeReplica:apart:")
        one.send_signal(signal.SIGKILL)
    return rolled.ended()


def rolled_back_and_promoted(server: Server, kill: bool = False) -> None:
    rolled = Rolled(server, "apart")
    with Asking(server.url, "apart", RATE, users=400, most=MOST) as users:
        until(lambda: users.answered["1"] > RATE, "version 1")
        found = rolled_out(rolled, 2, errors=0.9)
        assert (found["phase"], found["weights"]) == ("rolledBack", {"2": 0, "1": 100})
        assert "version 2 failed" in found["records"][-1]["why"]
        asked = users.asked  # what was on its way to the bad version may still fail
        until(lambda: users.over(asked), "answers to what was asked before")
        planted = len(users.failed)
        found = rolled_out(rolled, 3, kill)
        assert (found["phase"], found["weights"]) == ("promoted", {"3": 100, "1": 0})
        assert min(one["requests"] for one in found["counts"].values()) > 0
        seen = users.answered["3"]
        until(lambda: users.answered["3"] > seen + RATE, "the new version, alone")
    # What the bad version itself failed, and nothing else: a replica's death is nobody's failed request.
    assert [one for one in users.failed if not one[1].startswith("500 ")] == []
    assert len(users.failed) == planted > 0
    assert users.went_back({"2"}) == 0
    assert users.wrong == 0


@pytest.mark.parametrize("server", [Setup(MODES[0], "apart", config)], indirect=True, ids=str)
def test_a_bad_version_is_rolled_back_and_a_good_one_promoted(server):
    rolled_back_and_promoted(server)


@pytest.mark.long
def test_a_replica_killed_in_the_middle_of_one(start_server, tmp_path):
    """A server of its own: its processes are killed."""
    rolled_back_and_promoted(start_server(config(tmp_path), env=ENV), kill=True)
