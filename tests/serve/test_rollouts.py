"""How a new version comes to a live service while users ask: published, shadowed, given one percent, and
rolled back because it is bad; and a good one promoted."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.rolling.asking import USER, Asking
from loadtests.rolling.model import publish
from tests.serve.configs import router, write
from tests.serve.live import deploy, until
from tests.serve.rolled import KEY, MOST, RATE, Rolled
from tests.server import MODES, Setup


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


@pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)
def test_a_bad_version_is_found_by_its_shadow_and_rolled_back_and_a_good_one_promoted(server):
    rolled, folder = Rolled(server, "rolled"), server.config.parent
    with Asking(server.url, "rolled", RATE, users=400, most=MOST) as users:
        publish(folder / "rolled", 2, errors=0.9, wrong=0.5)
        rolled.load()
        deploy(server, config(folder, shadow={"version": "2"}))

        def differs() -> bool:
            found = rolled.ask("shadow")
            return any(pair["differed"] > 20 for pair in found.get("pairs", []))

        until(differs, "the shadow's answers")
        rolled.begin("2")
        found = rolled.ended()
        assert found["phase"] == "rolledBack"
        assert found["weights"] == {"2": 0, "1": 100}
        assert [one["what"] for one in found["records"]][:2] == ["start", "step"]
        assert "version 2 failed" in found["records"][-1]["why"]
        asked = users.asked  # what was on its way to the bad version may still fail
        until(lambda: users.over(asked), "answers to what was asked before")
        planted, seen = len(users.failed), users.answered["1"]
        until(lambda: users.answered["1"] > seen + RATE, "the version of before")

        publish(folder / "rolled", 3)
        rolled.load()
        rolled.begin("3")
        found = rolled.ended()
        assert (found["phase"], found["weights"]) == ("promoted", {"3": 100, "1": 0})
        seen = users.answered["3"]
        until(lambda: users.answered["3"] > seen + RATE, "the new version")
    # What the bad version itself failed.
    assert [one for one in users.failed if not one[1].startswith("500 ")] == []
    assert len(users.failed) == planted
    assert users.went_back({"2"}) == 0
    with server.http() as http:
        lines = http.get("/v2/repository/audit", headers=KEY).json()["audit"]
    verbs = [line["verb"] for line in lines if line["verb"].startswith("rollout")]
    assert verbs.count("rollout rollback") == verbs.count("rollout promote") == 1
