"""kill -9 of a cluster's head while models are loaded and unloaded: KubeRay's shapes, here."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from loadtests.proofs.local import Local, State, settled
from loadtests.proofs.manifest import config_of, manifest, with_config
from serve_app.ports import free_port
from serve_app.processes import Program

pytestmark = [pytest.mark.long, pytest.mark.live]
TOKEN = "a-token-of-the-tests"
KEY = {"admin-key": TOKEN}
LOAD_S = 1.0
# While it is written, while it is loaded, when it was acknowledged.
STEPS = (0.05, 0.5, 3.0)
# Of an unload, which takes no second: while it is written, about when it is acknowledged, and after.
UNLOAD_STEPS = (0.01, 0.1, 2.0)


def service(admin: dict[str, Any], redis: str = "") -> dict[str, Any]:
    """One worker, a Router on it, a model that takes a second to load."""
    found = manifest()
    spec = found["spec"]["rayClusterConfig"]
    (group,) = spec["workerGroupSpecs"]
    group |= {"replicas": 1, "minReplicas": 1}
    if redis:
        spec["gcsFaultToleranceOptions"] = {"redisAddress": f"redis://{redis}"}
    config = config_of(found)
    (app,) = config["applications"] = config["applications"][:1]
    allow = {"classes": ["tests.serve.models"]}
    app["args"] = {"admin": {"timeout": 60, "allow": allow, **admin}}
    app["deployments"][0]["num_replicas"] = 1
    slow = {"name": "m", "modelFormat": "python", "class": "tests.serve.models:LoadsSlowly"}
    slow["options"] = {"text": "0", "seconds": LOAD_S}
    app["deployments"][0]["user_config"]["models"] = [slow]
    return with_config(found, config)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A server's address."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server here")
    port = free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    program = Program(command, tmp_path / "redis.log")
    program.start()
    try:
        program.wait(lambda: listens(port), 20, "Redis")
        yield f"127.0.0.1:{port}"
    finally:
        program.stop()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def serves(state: State) -> bool:
    return settled(state, 1)


def head(state: State) -> dict[str, Any]:
    (found,) = [one for one in state["activeServiceStatus"]["nodes"] if one["group"] == "head"]
    return dict(found)


def kill(node: dict[str, Any]) -> None:
    """As a pod goes: all of its processes at once."""
    for pid in node["pids"]:
        try:
            psutil.Process(pid).kill()
        except psutil.NoSuchProcess:
            continue


class Asking(threading.Thread):
    """Asks twenty times a second; what it was answered, and the gaps between answers."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.over = url, threading.Event()
        self.seen: list[tuple[float, str]] = []
        self.failed: list[tuple[float, str]] = []

    def run(self) -> None:
        while not self.over.wait(0.05):
            text, now = says(self.url), time.monotonic()
            (self.failed if text.startswith("!") else self.seen).append((now, text))


def says(url: str) -> str:
    """The model's word, or "!" and what is wrong."""
    try:
        answer = httpx.post(f"{url}/v2/models/m/infer", json={"inputs": []}, timeout=30)
    except httpx.TransportError as error:
        return f"! {error!r}"
    if answer.status_code != 200:
        return f"! {answer.status_code} {answer.text}"
    return str(answer.json()["outputs"][0]["data"][0])


def change(url: str, verb: str, text: str = "") -> int:
    """The status; 0 where nobody answered."""
    config = {"config": {"options": {"text": text, "seconds": LOAD_S}}} if text else {}
    route = f"{url}/v2/repository/models/m/{verb}"
    try:
        answer = httpx.post(route, json={"parameters": config}, headers=KEY, timeout=120)
    except httpx.TransportError:
        return 0
    return answer.status_code


def test_with_redis_what_serves_goes_on_and_the_state_is_right(redis: str) -> None:
    """The GCS has the state; the worker, its Router and its model outlive the head."""
    with Local(service({}, redis), redis=redis, env={"TANDEM_ADMIN_TOKEN": TOKEN}) as local:
        local.until(serves, "a worker that serves")
        before = "0"
        for step in STEPS:
            text, outcome = f"at-{step}", list[int]()
            asking = Asking(local.target.http)
            load = threading.Thread(
                target=lambda text=text, out=outcome: out.append(change(local.target.http, "load", text))
            )
            asking.start()
            load.start()
            time.sleep(step)
            old = head(local.state())
            kill(old)
            local.until(lambda state, old=old: head(state)["name"] != old["name"], "another head")
            load.join(150)
            local.until(serves, "everything healthy again")
            now = says(local.target.http)
            asking.over.set()
            asking.join()
            assert now in ({text} if outcome == [200] else {before, text}), (step, outcome)
            assert asking.failed == [], step
            assert {said for _, said in asking.seen} <= {before, text}
            # And the next change is taken, by whoever is the Steward now.
            assert change(local.target.http, "load", f"after-{step}") == 200
            before = f"after-{step}"
            assert says(local.target.http) == before
        assert change(local.target.http, "unload") == 200
        assert "404" in says(local.target.http)


def test_with_redis_an_unload_is_done_or_isnt(redis: str) -> None:
    """Never half of it: acknowledged, the model stays away; else it serves, or is away, for good."""
    with Local(service({}, redis), redis=redis, env={"TANDEM_ADMIN_TOKEN": TOKEN}) as local:
        local.until(serves, "a worker that serves")
        before = "0"
        for step in UNLOAD_STEPS:
            asking = Asking(local.target.http)
            asking.start()
            outcome = killed_while(local, "unload", step)
            now = says(local.target.http)
            asking.over.set()
            asking.join()
            gone = "404" in now and "it was unloaded" in now
            assert gone or (outcome != [200] and now == before), (step, outcome, now)
            assert {said for _, said in asking.seen} <= {before}
            # Requests learn that it was unloaded, and nothing else.
            assert [said for _, said in asking.failed if "it was unloaded" not in said] == [], step
            before = f"after-{step}"
            assert change(local.target.http, "load", before) == 200
            assert says(local.target.http) == before


def killed_while(local: Local, verb: str, step: float) -> list[int]:
    """The head is, so long after a change was asked for; what that was answered. All is well then."""
    outcome = list[int]()
    asked = threading.Thread(target=lambda: outcome.append(change(local.target.http, verb)))
    asked.start()
    time.sleep(step)
    old = head(local.state())
    kill(old)
    local.until(lambda state: head(state)["name"] != old["name"], "another head")
    asked.join(150)
    local.until(serves, "everything healthy again")
    return outcome


def test_without_redis_a_state_in_a_folder_comes_back_after_a_gap(tmp_path: Path) -> None:
    """The cluster goes with its head, and another one is built: until then nobody answers."""
    admin = {"stateUri": str(tmp_path / "state")}
    with Local(service(admin), env={"TANDEM_ADMIN_TOKEN": TOKEN}) as local:
        local.until(serves, "a worker that serves")
        assert change(local.target.http, "load", "one") == 200
        outcome = list[int]()
        load = threading.Thread(target=lambda: outcome.append(change(local.target.http, "load", "two")))
        load.start()
        time.sleep(0.5)  # it is written, and being loaded
        old = head(local.state())
        kill(old)
        load.join(150)
        local.until(
            lambda state: serves(state) and head(state)["name"] != old["name"], "another cluster"
        )
        assert says(local.target.http) in ({"two"} if outcome == [200] else {"one", "two"})
        assert change(local.target.http, "load", "three") == 200
        assert says(local.target.http) == "three"


def test_without_redis_what_was_unloaded_stays_away(tmp_path: Path) -> None:
    """In the cluster that is built after it, too."""
    admin = {"stateUri": str(tmp_path / "state")}
    with Local(service(admin), env={"TANDEM_ADMIN_TOKEN": TOKEN}) as local:
        local.until(serves, "a worker that serves")
        outcome = killed_while(local, "unload", UNLOAD_STEPS[0])
        now = says(local.target.http)
        assert "it was unloaded" in now or (outcome != [200] and now == "0"), (outcome, now)
        if "it was unloaded" in now:
            assert change(local.target.http, "load") == 200
        assert says(local.target.http) == "0"
