"""Copies of requests on a live service: inside the Router, and to replicas of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc

from tests.serve.configs import remote, router, write
from tests.serve.live import ENV, column, until
from tests.server import MODES, ROOT, Server, Setup

TOKEN = "a-token-of-the-tests"
PLANTED = {"class": "tests.serve.models:Planted"}
ROUTE = {"defaultVersion": "1", "shadow": {"version": "2", "concurrency": 4, "examples": 5}}
ASKED = 28  # of which 7, 14, 21 and 28 differ
WRONG = {"7", "14", "21", "28"}


def config(folder: Path) -> Path:
    """Two versions of `here` inside the Router, and of `far`, each in an application of its own."""
    for version in ("1", "2"):
        (folder / "here" / version).mkdir(parents=True)
    (folder / "token").write_text(TOKEN)
    here = {"name": "here", "modelFormat": "python", **PLANTED, "storageUri": str(folder / "here")}
    routed = router(here, routing={"here": ROUTE, "far": ROUTE})
    routed["args"] = {"admin": {"tokenFile": str(folder / "token")}}
    apart = [
        remote(f"far-{version}", "", **PLANTED, model="far", versions=[version]) for version in "12"
    ]
    return write(folder / "shadow.yaml", routed, *apart)


SETUP = Setup(MODES[0], "shadow", config)
pytestmark = pytest.mark.parametrize("server", [SETUP], indirect=True, ids=str)


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.http() as client:
        until(lambda: len(versions(client, "far")) == 2, "both versions")
        yield client


def versions(client: httpx.Client, model: str) -> list[str]:
    rows = client.post("/v2/repository/index").json()
    return [row["version"] for row in rows if row["name"] == model and row["state"] == "READY"]


def shadow(server: Server, model: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve_app", "shadow", model, "--address", server.url, *more]
    variables = {**os.environ, **ENV, "TANDEM_ADMIN_TOKEN": TOKEN}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, cwd=ROOT)


def found(server: Server, model: str) -> dict[str, Any]:
    done = shadow(server, model, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ask(server: Server, client: httpx.Client, model: str) -> None:
    """By V2 and V1 over HTTP, and over gRPC, in turns; the answers are version 1's."""
    grpc = tritonclient.grpc.InferenceServerClient(server.grpc)
    for number in range(1, ASKED + 1):
        if number % 3 == 0:
            answer = client.post(f"/v1/models/{model}:predict", json={"instances": [[number]]})
            got = answer.json()["predictions"][0][0]
        elif number % 3 == 1:
            body = {"id": str(number), **column(float(number))}
            answer = client.post(f"/v2/models/{model}/infer", json=body)
            assert answer.json()["model_version"] == "1"
            got = answer.json()["outputs"][0]["data"][0]
        else:
            x = tritonclient.grpc.InferInput("x", [1, 1], "FP32")
            x.set_data_from_numpy(np.array([[number]], np.float32))
            got = float(grpc.infer(model, [x], request_id=str(number)).as_numpy("y")[0, 0])
        assert got == number * 10
    grpc.close()


@pytest.mark.parametrize("model", ["here", "far"])
def test_what_differs_is_found(server: Server, http: httpx.Client, model: str) -> None:
    ask(server, http, model)

    def all_compared() -> dict[str, Any] | None:
        answer = found(server, model)
        pairs = answer["pairs"]
        return answer if pairs and pairs[0]["compared"] == ASKED else None

    answer = until(all_compared, "all are compared", 30)
    (pair,) = answer["pairs"]
    assert (pair["primary"], pair["shadow"], pair["differed"]) == ("1", "2", 4)
    assert answer["dropped"] == {}
    assert pair["interval"]["low"] < pair["share"] < pair["interval"]["high"]
    assert pair["outputs"] == {"y": {"differed": 4, "worst": 1.0}}
    kept = pair["examples"]
    assert len(kept) == 4
    assert {str(int(one["inputs"][0]["first"][0])) for one in kept} == WRONG
    assert all(one["copy"][0]["first"][0] - one["answer"][0]["first"][0] == 1 for one in kept)
    assert {"7", "14", "28"} & {one["id"] for one in kept}  # V1 has no ids
    said = shadow(server, model)
    assert "differs in 4, by 1 at most" in said.stdout, said.stdout + said.stderr


def test_copies_are_no_requests(server: Server, http: httpx.Client) -> None:
    http.post("/v2/models/here/infer", json=column(1.0))
    for version, count in (("1", True), ("2", False)):
        stats = http.get(f"/v2/models/here/versions/{version}/stats").json()["model_stats"][0]
        assert bool(stats["inference_stats"]["success"]["count"]) is count


def test_nobody_sees_it_without_the_token(server: Server, http: httpx.Client) -> None:
    assert http.get("/v2/repository/models/here/shadow").status_code == 401
