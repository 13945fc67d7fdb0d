"""kill -9 of the Steward, a Router, a replica and Serve's controller at each step of a load."""

import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV, processes, until
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.live]
KEY = {"admin-key": ENV["TANDEM_ADMIN_TOKEN"]}
LOAD_S = 1.0
# Before anything, while it is written, while it is loaded, about when it is acknowledged, and after.
STEPS = (0.0, 0.02, 0.1, 0.5, 0.95, 1.05, 1.3)
VICTIMS = {
    "steward": "ServeReplica:tandem:Steward",
    "router": "ServeReplica:tandem:Router",
    "replica": "ServeReplica:apart:ModelReplica",
    "controller": "ServeController",
}


def config(folder: Path) -> Path:
    slow = {**python("LoadsSlowly", options={"text": "0", "seconds": LOAD_S}), "name": "m"}
    routed = router(slow)
    allow = {"classes": ["tests.serve.models"]}
    routed["args"] = {"admin": {"timeout": 60, "allow": allow}}
    routed["deployments"][0] |= {"num_replicas": 2, "ray_actor_options": {"num_cpus": 0.1}}
    return write(folder / "config.yaml", routed, remote("apart", "Pid", replicas=2))


@pytest.fixture(scope="module")
def live(start_module_server, tmp_path_factory) -> Server:
    folder = tmp_path_factory.mktemp("kills")
    return start_module_server(config(folder), env=ENV)


def says(http: httpx.Client) -> str:
    answer = http.post("/v2/models/m/infer", json={"inputs": []})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["outputs"][0]["data"][0])


class Asking(threading.Thread):
    """Asks all the time; what it was answered, and what went wrong but for connections of the killed."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server, self.over = server, threading.Event()
        self.seen: set[str] = set()
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            with self.server.http() as http:
                try:
                    self.seen.add(says(http))
                except httpx.TransportError:
                    time.sleep(0.01)
                except AssertionError as error:
                    self.failures.append(str(error))


@pytest.mark.parametrize("victim", VICTIMS)
def test_always_a_working_version_and_the_state_is_right(live, victim):
    for number, step in enumerate(STEPS):
        text = f"{victim}-{number}"
        before = everywhere(live)
        asking, outcome = Asking(live), []
        load = threading.Thread(target=lambda text=text, out=outcome: out.append(change(live, text)))
        asking.start()
        load.start()
        time.sleep(step)
        processes(live, VICTIMS[victim])[0].kill()
        load.join(120)
        asking.over.set()
        asking.join()
        assert outcome, f"{victim} at {step}: no answer"
        # Answered, it is served by all; else it is one or the other everywhere.
        wanted = {text} if outcome[0] == 200 else {before, text}
        found = until(lambda: everywhere(live), f"{victim} at {step}: one version", 120)
        assert found in wanted, (victim, step, outcome)
        # A client whose Router was killed has no answer; of what was answered nothing failed.
        assert asking.seen <= {before, text}
        gaps = [one for one in asking.failures if "503" not in one and "no Router" not in one]
        assert gaps == [], (victim, step)
        until(lambda: len(processes(live, VICTIMS["router"])) == 2, "two Routers", 120)
        until(lambda: len(processes(live, VICTIMS["steward"])) == 1, "a Steward", 120)


def change(server: Server, text: str) -> int:
    with server.http() as http:
        body = {"parameters": {"config": {"options": {"text": text, "seconds": LOAD_S}}}}
        try:
            answer = http.post("/v2/repository/models/m/load", json=body, headers=KEY, timeout=100)
        except httpx.TransportError:
            return 0
        return answer.status_code


def everywhere(server: Server) -> str:
    """What all Routers say; '' while they differ or one doesn't answer."""
    seen = set()
    for _ in range(16):
        with server.http() as http:
            try:
                seen.add(says(http))
            except (httpx.TransportError, AssertionError):
                return ""
    return seen.pop() if len(seen) == 1 else ""
