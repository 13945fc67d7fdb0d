"""A change that can't be served is said wherever one looks, and what was there goes on."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV, Traffic, deploy, index, pid_of, until
from tests.server import MODES, Setup

PIDS, NOTHING = "/v2/models/{}/infer", {"inputs": []}
BASE = (router(python("Pid"), python("Fussy")), remote("one", "Pid"), remote("two", "Pid"))
READY = dict.fromkeys(["pid", "fussy", "one", "two"], "")

LIVE = Setup(MODES[0], "refusals", lambda folder: write(folder / "base.yaml", *BASE))
pytestmark = pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)


@pytest.fixture
def client(server):
    with server.http() as client:
        yield client


def tandem(*command: str, code: int) -> str:
    """A command as another shell has it, in another folder: what it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        command, cwd="/", env=env | ENV, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def printed(server) -> list[str]:
    """What `tandem run` says to apply a changed file with, without the file."""
    *command, file = shlex.split(re.search(r"Apply it with: (.*)", server.text())[1])
    assert Path(file).is_absolute()
    return command


def test_what_became_of_each_model(server, client, tmp_path):
    command, address = printed(server), ("--address", server.dashboard)
    worse = {**python("Broken"), "name": "fussy", "versions": ["2"]}
    changed = (router(python("Pid"), worse), remote("one", "Pid"), remote("three", "Pid"))
    with Traffic(server, (PIDS.format("pid"), NOTHING), (PIDS.format("one"), NOTHING)) as traffic:
        file = write(tmp_path / "worse.yaml", *changed)
        found = json.loads(tandem(*command, str(file), *address, "--json", code=1))
        assert not found["served"]
        assert {one["model"]: one["result"] for one in found["models"]} == {
            "tandem": "unchanged",
            "pid": "unchanged",
            "fussy": "refused",
            "one": "unchanged",
            "three": "new",
            "two": "removed",
        }
        rows = [row for row in client.post("/v2/repository/index").json() if row["name"] == "fussy"]
        assert [(row["version"], row["state"]) for row in rows] == [("1", "READY"), ("2", "UNAVAILABLE")]
        assert all("the weights are gone" in row["reason"] for row in rows)
        assert client.get("/v2/models/fussy/versions/2/ready").status_code == 503
        said = tandem(*command[:-1], "doctor", *address, code=1)
        assert "a change of model 'fussy' is refused" in said
        assert "the weights are gone" in said
        text = tandem(*command, str(write(tmp_path / "base.yaml", *BASE)), *address, code=0)
    assert "all of it is served" in text
    assert traffic.failures == []
    assert index(client) == READY


def test_a_wrong_user_config_of_router_and_replica(server, client, tmp_path):
    router_pid, replica_pid = pid_of(client, "pid"), pid_of(client, "one")
    wrong = router(python("Pid"), python("Fussy"), limitz={"maxBodyBytes": 200})
    one = remote("one", "Pid")
    one["deployments"] = [{"name": "ModelReplica", "user_config": {"batchin": {"maxBatchSize": 4}}}]
    with Traffic(server, (PIDS.format("pid"), NOTHING), (PIDS.format("one"), NOTHING)) as traffic:
        deploy(server, write(tmp_path / "wrong.yaml", wrong, one, BASE[2]))
        until(lambda: "limitz: unknown key" in index(client)["pid"], "the Router's refusal")
        until(lambda: "batchin: unknown key" in index(client)["one"], "the replica's refusal")
        assert "limitz" in client.get("/v2/health/ready").json()["refused"]
        assert "batchin" in client.get("/v2/models/one/ready").json()["reason"]
        deploy(server, write(tmp_path / "base.yaml", *BASE))
        until(lambda: index(client) == READY, "all is as it was")
    assert "refused" not in client.get("/v2/health/ready").json()
    assert (pid_of(client, "pid"), pid_of(client, "one")) == (router_pid, replica_pid)
    assert traffic.failures == []
