"""Talking to a live server from a test: deploys, waits, requests under way."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from prometheus_client.parser import text_string_to_metric_families

from serve_app.tools.dashboard import Dashboard
from serve_app.tools.ray_token import token
from tests.server import ROOT, Server

ENV = {
    "PYTHONPATH": str(ROOT),  # so that replicas import tests.serve.models
    "TANDEM_ADMIN_TOKEN": "a-token-of-the-tests",  # of those that let models be loaded
}
PAUSE = 0.02


def deploy(server: Server, config: Path) -> None:
    """What `serve deploy` sends, without the seconds in which it imports Ray."""
    Dashboard(server.dashboard, token()).deploy(yaml.safe_load(config.read_text()))


def deploy_by_command(server: Server, config: Path) -> None:
    """`serve deploy`, as a user would."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("serve")), "deploy", "-a", server.dashboard, str(config)],
        env={**os.environ, "RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def until(check: Callable[[], Any], what: str, seconds: float = 90, every: float = 0.1) -> Any:
    """Ask until the answer is truthy; the last answer in the failure."""
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"{what}: still {answer!r} after {seconds} s"
        time.sleep(every)
    return answer


def settled(server: Server, config: Path) -> bool:
    """Whether every Router knows the models of a deployed config, and each is ready or says why not."""
    routed, *others = yaml.safe_load(config.read_text())["applications"]
    user = routed["deployments"][0]["user_config"]
    names = {one["name"] for one in (*user["models"], *user.get("graphs", ()))}
    names |= {other["args"].get("model", other["name"]) for other in others}  # several may have one
    for _ in range(10):  # each connection may meet another Router
        with server.http() as client:
            if set(found := index(client)) != names:
                return False
            if any("DEPLOYING" in reason or "NOT_STARTED" in reason for reason in found.values()):
                return False
    return True


def title(process: psutil.Process) -> str:
    """What a process calls itself; '' when it is gone."""
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def processes(server: Server, *parts: str) -> list[psutil.Process]:
    """Those of its Ray that have all of these in what they call themselves."""
    titles = [(one, title(one)) for one in server.family()]
    return [one for one, said in titles if all(part in said for part in parts)]


def index(client: httpx.Client) -> dict[str, str]:
    """Model name to '' when ready, else the reason."""
    rows = client.post("/v2/repository/index").json()
    return {row["name"]: row["reason"] for row in rows}


def column(*values: float) -> dict[str, Any]:
    """A request with `x` FP32 [n, 1]."""
    data = {"name": "x", "shape": [len(values), 1], "datatype": "FP32", "data": list(values)}
    return {"inputs": [data]}


def pid_of(client: httpx.Client, model: str) -> int:
    """The process that a Pid model runs in."""
    answer = client.post(f"/v2/models/{model}/infer", json={"inputs": []})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["outputs"][0]["data"][0])


class Traffic:
    """Requests from a few threads while the block runs; `failures` must stay empty.

    Some hundred a second: more would take the processors from what is to change meanwhile.
    """

    def __init__(self, server: Server, *requests: tuple[str, dict[str, Any]], threads: int = 3) -> None:
        self._server, self._requests = server, requests
        self._over, self._first = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        self.answered = 0
        self.failures: list[str] = []

    def _run(self) -> None:
        with self._server.http() as client:
            while not self._over.is_set():
                for path, body in self._requests:
                    try:
                        answer = client.post(path, json=body)
                    except httpx.HTTPError as error:
                        self.failures.append(repr(error))
                        continue
                    finally:
                        self._first.set()
                    self.answered += 1
                    if answer.status_code != 200:
                        self.failures.append(f"{answer.status_code} {answer.text}")
                    self._over.wait(PAUSE)

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        self._first.wait(30)  # on a busy machine a thread's client takes its time
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def paths(server: Server) -> dict[tuple[str, str], float]:
    """Requests so far by transport and way, all processes together."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(server.metrics()):
        for sample in family.samples:
            if sample.name == "ray_request_path_total":
                key = sample.labels["transport"], sample.labels["path"]
                found[key] = found.get(key, 0) + sample.value
    return found
