"""A rollout from one engine to another: completions, whole and streamed, are shared and counted."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.llm.conftest import NEEDS
from tests.llm.serving import CONFIG, WEIGHTS
from tests.serve.live import until
from tests.server import Server

pytest.importorskip("vllm", reason=NEEDS)
pytestmark = pytest.mark.long

CHAT, TOKEN = "chat", "a-token-of-the-tests"
KEY = {"authorization": f"Bearer {TOKEN}"}
API = f"/v2/repository/models/{CHAT}"
ROLLOUT = {
    "version": "2",
    "steps": [{"weight": 50, "requests": 5}],
    "metrics": [
        {"kind": "errorRate", "margin": 0.4},
        {"kind": "latency", "quantile": "p50", "relativeMargin": 9, "dryRun": True},
    ],
    "inconclusive": {"hold": 300},
}


@pytest.fixture(scope="module")
def engines(llm_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One model, each of its two versions in an application of its own."""
    folder = tmp_path_factory.mktemp("rollouts")
    (folder / "token").write_text(TOKEN)
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    routed, tiny = config["applications"]
    routed["args"] = {"admin": {"tokenFile": str(folder / "token")}}
    user = routed["deployments"][0]["user_config"]
    user["routing"] = {CHAT: {"traffic": {"weights": {"1": 100}, "sticky": {"parameter": "user"}}}}
    config["applications"] = [routed]
    for version in ("1", "2"):
        shutil.copytree(WEIGHTS, folder / "models" / version)
        args = {**tiny["args"], "model": CHAT, "versions": [version], "resources": {"num_cpus": 0.5}}
        args["storageUri"] = str(folder / "models")
        config["applications"].append({**tiny, "name": f"{CHAT}-{version}", "args": args})
    path = folder / "llm.yaml"
    path.write_text(yaml.safe_dump(config))
    with Server(path, log=folder / "server.log") as server:
        yield server
    assert not server.leftovers, "\n".join(server.leftovers)


def rolled(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"{API}/rollout", headers=KEY).raise_for_status().json()
    return found


def complete(http: httpx.Client, number: int) -> None:
    """Every other one streamed."""
    asked = {"model": CHAT, "prompt": "a", "max_tokens": 2, "user": f"user-{number}"}
    answer = http.post("/v1/completions", json={**asked, "stream": number % 2 == 0}, timeout=60)
    answer.raise_for_status()
    if number % 2 == 0:
        *_, last, done = [line for line in answer.text.splitlines() if line]
        assert done == "data: [DONE]"
        assert json.loads(last.removeprefix("data: "))["choices"]


def test_an_engine_takes_the_place_of_another(engines: Server) -> None:
    with engines.http() as http:

        def both() -> bool:
            rows = http.post("/v2/repository/index").json()
            return [row["state"] for row in rows if row["name"] == CHAT] == ["READY"] * 2

        until(both, "both engines", 120)
        said = {"verb": "start", "rollout": ROLLOUT}
        http.post(f"{API}/rollout", json=said, headers=KEY, timeout=60).raise_for_status()
        until(lambda: rolled(http)["phase"] == "running", "its step")
        asked = 0
        while rolled(http)["phase"] in ("running", "inconclusive"):
            for _ in range(4):
                complete(http, asked)
                asked += 1
                named = {"model": f"{CHAT}:1", "prompt": "a", "max_tokens": 2}
                http.post("/v1/completions", json=named, timeout=60).raise_for_status()
            assert asked < 400
        found = rolled(http)
        assert (found["phase"], found["weights"]) == ("promoted", {"2": 100, "1": 0})
        # Half of the others went to either version. Those that named one aren't counted, or it would
        # have three times as many; nor what its Router hadn't told yet.
        counted = {version: one["requests"] for version, one in found["counts"].items()}
        assert 0 < counted["1"] < 2 * counted["2"]
        assert sum(counted.values()) <= asked
        (errors, latency) = found["metrics"]
        assert errors["canary"]["errors"] == 0
        assert latency["canary"]["p50"] > 0
