"""How a new version comes to a live service while users ask: published, shadowed, given one percent, and
rolled back because it is bad; and a good one promoted."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtests.rolling.asking import USER, Asking
from loadtests.rolling.model import publish
from tests.serve.configs import router, write
from tests.serve.live import ENV, deploy, until
from tests.server import MODES, Server, Setup

KEY = {"authorization": f"Bearer {ENV['TANDEM_ADMIN_TOKEN']}"}
API = "/v2/repository/models/rolled"
METRICS = [{"kind": "errorRate", "margin": 0.3}]
ROLLOUT = {
    "steps": [{"weight": 1, "requests": 1}, {"weight": 50, "requests": 50}], "metrics": METRICS,
    "inconclusive": {"hold": 120},
}  # fmt: skip
RATE = 120


def config(folder: Path, **routing: Any) -> Path:
    model = {
        "name": "rolled", "modelFormat": "python", "class": "loadtests.rolling.model:Behaves",
        "storageUri": str(folder / "rolled"), "warmUp": False,
    }  # fmt: skip
    traffic = {"weights": {"1": 100}, "sticky": {"header": USER}}
    routed = router(model, routing={"rolled": {"traffic": traffic, **routing}})
    routed["args"] = {"admin": {"timeout": 60, "stateUri": str(folder / "state")}}
    routed["deployments"][0] |= {"num_replicas": 2, "ray_actor_options": {"num_cpus": 0.1}}
    return write(folder / "config.yaml", routed)


def first(folder: Path) -> Path:
    """With a first version."""
    publish(folder / "rolled", 1)
    return config(folder)


LIVE = Setup(MODES[0], "rollouts", first)


@pytest.fixture(scope="module")
def folder(live: Server) -> Path:
    return live.config.parent


@pytest.fixture(scope="module")
def live(server: Server) -> Server:
    return server


def ask(live: Server, what: str, said: object = None) -> Any:
    with live.http() as http:
        method = "GET" if said is None else "POST"
        answer = http.request(method, f"{API}/{what}", json=said, headers=KEY, timeout=90)
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.content else None


def load(live: Server) -> None:
    ask(live, "load", {"parameters": {}})


def begun(live: Server, version: str, **more: Any) -> None:
    ask(live, "rollout", {"verb": "start", "rollout": {"version": version, **ROLLOUT, **more}})


def ended(live: Server) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        try:
            found = ask(live, "rollout")
        except (AssertionError, httpx.HTTPError):  # while a process is away
            return None
        return found if found["phase"] in ("promoted", "rolledBack", "aborted") else None

    return until(over, "the rollout", 120)


@pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)
def test_a_bad_version_is_found_by_its_shadow_and_rolled_back_and_a_good_one_promoted(live, folder):
    with Asking(live.url, "rolled", RATE, users=400) as users:
        publish(folder / "rolled", 2, errors=0.9, wrong=0.5)
        load(live)
        deploy(live, config(folder, shadow={"version": "2"}))

        def differs() -> bool:
            found = ask(live, "shadow")
            return any(pair["differed"] > 20 for pair in found.get("pairs", []))

        until(differs, "the shadow's answers")
        begun(live, "2")
        found = ended(live)
        assert found["phase"] == "rolledBack"
        assert found["weights"] == {"2": 0, "1": 100}
        assert [one["what"] for one in found["records"]][:2] == ["start", "step"]
        assert "version 2 failed" in found["records"][-1]["why"]
        seen = users.answered["1"]
        until(lambda: users.answered["1"] > seen + RATE, "the version of before")

        publish(folder / "rolled", 3)
        load(live)
        begun(live, "3")
        found = ended(live)
        assert (found["phase"], found["weights"]) == ("promoted", {"3": 100, "1": 0})
        seen = users.answered["3"]
        until(lambda: users.answered["3"] > seen + RATE, "the new version")
    assert {text[:3] for _, text in users.failed} <= {"500"}  # what the bad version itself failed
    assert len(users.failed) < RATE
    assert users.went_back({"2"}) == 0
    with live.http() as http:
        lines = http.get("/v2/repository/audit", headers=KEY).json()["audit"]
    verbs = [line["verb"] for line in lines if line["verb"].startswith("rollout")]
    assert verbs.count("rollout rollback") == verbs.count("rollout promote") == 1
