"""`python -m loadtests.rolling`: good and bad versions are rolled out in turn while users ask.

Each is published beside the one that serves, loaded by the repository API and rolled out; the service
decides. Then: how many good ones were promoted and bad ones rolled back, how long it took, and what
users noticed.
"""

import argparse
import json
import os
import signal
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.live import LIVE, TOKEN, load, with_admin
from loadtests.rolling.asking import USER, Asking
from loadtests.rolling.model import publish
from loadtests.servers import Server

MODEL = "rolled"
OVER = ("promoted", "rolledBack", "aborted")
ROLLOUT: dict[str, Any] = {
    "steps": [{"weight": 10, "requests": 100}, {"weight": 50, "requests": 500}],
    "metrics": [{"kind": "errorRate", "margin": 0.02}],
    "inconclusive": {"hold": 60},
}
_LOOK_S = 0.2
_LONGEST_S = 180


@dataclass
class Rolled:
    """One rollout: whether its version was good, how it ended, after how long, and how many requests it
    answered and failed."""

    version: int
    good: bool
    phase: str = ""
    seconds: float = 0.0
    requests: int = 0
    failed: int = 0

    @property
    def right(self) -> bool:
        """Whether a good one was promoted, or a bad one rolled back."""
        return self.phase == ("promoted" if self.good else "rolledBack")


class Api:
    """The repository API of a server."""

    def __init__(self, server: Server) -> None:
        self._url = f"http://127.0.0.1:{server.http_port}/v2/repository/models/{MODEL}"

    def ask(self, what: str, said: object = None) -> Any:
        """RuntimeError says what was answered instead."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ[TOKEN]}"}
        data = None if said is None else json.dumps(said).encode()
        request = urllib.request.Request(f"{self._url}/{what}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{what}: {error.code} {error.read(500)!r}") from None

    def patient(self, what: str, said: object = None) -> Any:
        """The same while processes are killed."""
        until = time.monotonic() + 60
        while True:
            try:
                return self.ask(what, said)
            except (RuntimeError, OSError):
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_S)


def config_of(folder: Path) -> dict[str, Any]:
    """The model inside the Router, all of its versions; users keep theirs."""
    model = {
        "name": MODEL, "modelFormat": "python", "class": "loadtests.rolling.model:Behaves",
        "storageUri": str(folder), "warmUp": False,  # which a bad version might fail
    }  # fmt: skip
    traffic = {"weights": {"1": 100}, "sticky": {"header": USER}}
    user = {"models": [model], "routing": {MODEL: {"traffic": traffic}}, "logging": {"requests": False}}
    router = {
        "name": "tandem", "route_prefix": "/", "import_path": "serve_app.app:build_router",
        "deployments": [{"name": "Router", "user_config": user}],
    }  # fmt: skip
    return with_admin({"applications": [router]})


def rolled(server: Server, folder: Path, version: int, errors: float, kill: str) -> Rolled:
    """One version, from its publication to the end of its rollout."""
    api, one = Api(server), Rolled(version, good=not errors)
    publish(folder, version, errors=errors)
    load(server.target, MODEL, {})
    began = time.monotonic()
    api.ask("rollout", {"verb": "start", "rollout": {"version": str(version), **ROLLOUT}})
    if kill:
        time.sleep(2)
        _kill(server, kill)
    while True:
        found = api.patient("rollout")
        if found["phase"] in OVER or time.monotonic() - began > _LONGEST_S:
            break
        time.sleep(_LOOK_S)
    one.phase, one.seconds = found["phase"], time.monotonic() - began
    counts = found["counts"][str(version)]
    one.requests, one.failed = counts.get("requests", 0), counts.get("errors", 0)
    return one


def _kill(server: Server, name: str) -> None:
    """SIGKILL to the processes of a deployment."""
    for process in server.family():
        title = " ".join(process.cmdline()).strip()
        if "ServeReplica" in title and title.endswith(name):
            process.send_signal(signal.SIGKILL)


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m loadtests.rolling", None, __doc__, formatter_class=form)
    parser.add_argument("--rollouts", type=int, default=20, help="every other one of a bad version")
    parser.add_argument("--rate", type=float, default=300, help="requests per second")
    parser.add_argument("--errors", type=float, default=0.05, help="how often a bad version fails")
    parser.add_argument("--kill", default="", help="a deployment (Steward, Router) to kill each time")
    parser.add_argument("--json", type=Path, help="where to put the figures")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ended: list[Rolled] = []
    with tempfile.TemporaryDirectory(prefix="tandem-rolling-") as where:
        folder = Path(where) / MODEL
        publish(folder, 1)
        with (
            Server("tandem", config_of(folder), [MODEL], kind=LIVE) as server,
            Asking(f"http://127.0.0.1:{server.http_port}", MODEL, given.rate) as users,
        ):
            for number in range(given.rollouts):
                bad = given.errors if number % 2 else 0.0
                one = rolled(server, folder, number + 2, bad, given.kill)
                ended.append(one)
                print(
                    f"version {one.version:2} {'good' if one.good else 'bad '}: {one.phase} after "
                    f"{one.seconds:.0f} s and {one.requests} requests, of which {one.failed} failed",
                    flush=True,
                )
    print(summary(ended, users))
    if given.json:
        figures = {
            "rate": given.rate, "asked": users.asked, "failed": len(users.failed),
            "went back": users.went_back(_bad(ended)), "rollouts": [asdict(one) for one in ended],
        }  # fmt: skip
        given.json.write_text(json.dumps(figures, indent=1))


def _bad(ended: list[Rolled]) -> set[str]:
    return {str(one.version) for one in ended if one.phase != "promoted"}


def summary(ended: list[Rolled], users: Asking) -> str:
    """What the versions came to, and what users noticed."""
    good = [one for one in ended if one.good]
    bad = [one for one in ended if not one.good]
    planted = [text for _, text in users.failed if text.startswith("500")]
    others = [text for _, text in users.failed if not text.startswith("500")]
    lines = [
        f"{sum(one.right for one in good)} of {len(good)} good versions promoted, "
        f"{sum(one.right for one in bad)} of {len(bad)} bad ones rolled back",
        f"{users.asked} requests, {len(planted)} failed by bad versions, {len(others)} otherwise; "
        f"{users.wrong} wrong answers; {users.went_back(_bad(ended))} users got a version back that "
        "they had left, rollbacks aside",
        f"the clients were late by {users.late * 1000:.0f} ms at most",
    ]
    return "\n".join([*lines, *dict.fromkeys(others)][:20])


if __name__ == "__main__":
    main()
