"""Rollouts of a live service, as its operator asks for them."""

from typing import Any

import httpx

from tests.serve.live import ENV, until
from tests.server import Server

KEY = {"authorization": f"Bearer {ENV['TANDEM_ADMIN_TOKEN']}"}
ROLLOUT = {
    "steps": [{"weight": 1, "requests": 1}, {"weight": 50, "requests": 50}],
    "metrics": [{"kind": "errorRate", "margin": 0.3}], "inconclusive": {"hold": 120},
}  # fmt: skip
RATE = 120  # of the users' requests, per second
MOST = 64  # of them at a time, where the machine is busy


class Rolled:
    """One model of a server."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name

    def ask(self, what: str, said: object = None) -> Any:
        """What the repository's API says."""
        with self.server.http() as http:
            method, path = "GET" if said is None else "POST", f"/v2/repository/models/{self.name}/{what}"
            answer = http.request(method, path, json=said, headers=KEY, timeout=90)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    def load(self) -> None:
        """What was published."""
        self.ask("load", {"parameters": {}})

    def begin(self, version: str, **more: Any) -> None:
        """A rollout of that version."""
        self.ask("rollout", {"verb": "start", "rollout": {"version": version, **ROLLOUT, **more}})

    def running(self) -> None:
        """Wait until it is."""
        until(lambda: self.ask("rollout")["phase"] == "running", "its first step")

    def ended(self) -> dict[str, Any]:
        """Wait for its end, and what came of it."""

        def over() -> dict[str, Any] | None:
            try:
                found = self.ask("rollout")
            except (AssertionError, httpx.HTTPError):  # while a process is away
                return None
            return found if found["phase"] in ("promoted", "rolledBack", "aborted") else None

        found: dict[str, Any] = until(over, "the rollout", 120)
        return found
