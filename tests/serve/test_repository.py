"""Load and unload on a live service with two Routers: real clients, and processes that are killed."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV, Traffic, index, processes, until
from tests.server import MODES, ROOT, Server, Setup

TOKEN = ENV["TANDEM_ADMIN_TOKEN"]
KEY = {"admin-key": TOKEN}
ROUTERS = 2
CLIENTS = ROOT / ".venv-clients"
ONNX = ROOT / ".models" / "digits-onnx" / "1" / "model.onnx"


def config(folder: Path) -> Path:
    (folder / "m" / "1").mkdir(parents=True)
    (folder / "m" / "1" / "text").write_text("one")
    reads = python("Reads", storageUri=str(folder / "m"))
    routed = router(python("Pid"), reads)
    routed["args"] = {
        "admin": {"timeout": 60, "webhook": {}, "pollInterval": 0.5, "stateUri": str(folder / "state")}
    }
    routed["deployments"][0] |= {"num_replicas": ROUTERS}
    routed["deployments"][0]["ray_actor_options"] = {"num_cpus": 0.1}
    apart = remote("apart", "Reads", storageUri=str(folder / "m"))
    return write(folder / "config.yaml", routed, apart)


LIVE = Setup(MODES[0], "repository", config)
pytestmark = pytest.mark.parametrize("server", [LIVE], indirect=True, ids=str)


@pytest.fixture(scope="module")
def folder(server: Server) -> Path:
    return server.config.parent


@pytest.fixture(scope="module")
def live(server: Server) -> Server:
    until(lambda: everywhere(server, lambda http: index(http).get("apart") == ""), "all is served")
    return server


@pytest.fixture(params=["http", "grpc"])
def triton(request, live):
    """tritonclient over either protocol."""
    if request.param == "http":
        with tritonclient.http.InferenceServerClient(
            live.url.removeprefix("http://"), connection_timeout=60, network_timeout=60
        ) as client:
            yield client
    else:
        with tritonclient.grpc.InferenceServerClient(live.grpc) as client:
            yield client


def everywhere(server: Server, check) -> bool:
    """Whether it is so at every Router, as far as many connections meet them all."""
    for _ in range(6 * ROUTERS):
        with server.http() as http:
            if not check(http):
                return False
    return True


def says(http: httpx.Client, model: str = "reads", version: str = "") -> Any:
    route = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
    answer = http.post(f"{route}/infer", json={"inputs": []})
    if answer.status_code != 200:
        return str(answer.status_code)
    return answer.json()["outputs"][0]["data"][0]


def gone(http: httpx.Client, model: str) -> bool:
    return http.get(f"/v2/models/{model}").status_code == 404


def change(server: Server, verb: str, model: str, **parameters: object) -> httpx.Response:
    with server.http() as http:
        return http.post(
            f"/v2/repository/models/{model}/{verb}", json={"parameters": parameters}, headers=KEY
        )


def test_tritons_client_unloads_and_loads(live, triton):
    triton.unload_model("pid", headers=KEY)
    assert everywhere(live, lambda http: gone(http, "pid"))
    assert not triton.is_model_ready("pid")
    triton.unload_model("pid", headers=KEY, unload_dependents=True)
    triton.load_model("pid", headers=KEY)
    assert everywhere(live, lambda http: isinstance(says(http, "pid"), int))
    assert triton.is_model_ready("pid")


def test_tritons_client_brings_a_model(live, triton):
    config = json.dumps({"backend": "onnxruntime", "max_batch_size": 8})
    triton.load_model(
        "digits", headers=KEY, config=config, files={"file:4/model.onnx": ONNX.read_bytes()}
    )
    metadata = triton.get_model_metadata("digits")
    versions = metadata["versions"] if isinstance(metadata, dict) else list(metadata.versions)
    assert versions == ["4"]
    assert everywhere(live, lambda http: http.get("/v2/models/digits/ready").status_code == 200)
    triton.unload_model("digits", headers=KEY)
    assert everywhere(live, lambda http: gone(http, "digits"))


def test_what_tritons_client_is_told_of_what_cant_be(live, triton):
    for headers, config, word in (
        (None, None, "token"), ({"admin-key": "wrong"}, None, "token is wrong"), (KEY, "{", "JSON"),
        (KEY, '{"modelFormat": "python", "class": "os:system"}', "admin.allow.classes"),
        (KEY, '{"modelFormat": "onnx", "class": null, "storageUri": "/etc"}', "admin.allow.storage"),
    ):  # fmt: skip
        with pytest.raises(InferenceServerException, match=word):
            triton.load_model("reads", headers=headers, config=config)
    with pytest.raises(InferenceServerException, match="failed to load 'nobody'"):
        triton.load_model("nobody", headers=KEY)
    assert everywhere(live, lambda http: says(http) == "one 1")


def test_a_new_version_is_found_and_one_that_is_broken_changes_nothing(live, folder):
    """By the poller and by whoever asks: both read the folder again, in Routers and in replicas."""
    traffic = Traffic(live, ("/v2/models/reads/infer", {"inputs": []}))
    with traffic:
        made = folder / "m" / ".2"
        made.mkdir()
        (made / "text").write_text("two")
        made.rename(folder / "m" / "2")
        for model in ("reads", "apart"):
            assert change(live, "load", model).status_code == 200
            assert everywhere(live, lambda http, model=model: says(http, model) == "two 2")
        assert change(live, "unload", "reads", version="2").status_code == 200
        assert everywhere(live, lambda http: says(http) == "one 1")
        assert change(live, "load", "reads").status_code == 200
        (folder / "m" / "3").mkdir()  # without its text
        answer = change(live, "load", "reads")
        assert answer.status_code == 400
        assert "version 3" in answer.json()["error"]
        answer = change(live, "load", "apart")
        assert answer.status_code == 400
        assert "version 3" in answer.json()["error"]
        assert everywhere(live, lambda http: says(http) == says(http, "apart") == "two 2")
        # Who asks for another version isn't told of that one.
        assert change(live, "load", "reads", version="2").status_code == 200
        assert "served: version 1, 2" in change(live, "load", "reads").json()["error"]
        (folder / "m" / "3" / "text").write_text("three")
        until(lambda: everywhere(live, lambda http: says(http) == "three 3"), "the poller found it")
    assert traffic.failures == []


def test_a_webhook_has_a_model_loaded(live):
    assert change(live, "unload", "pid").status_code == 200
    with live.http() as http:
        answer = http.post("/v2/repository/webhook", json={"model": "pid"}, headers=KEY)
    assert (answer.status_code, answer.json()) == (202, {"model": "pid"})
    until(lambda: everywhere(live, lambda http: not gone(http, "pid")), "loaded")


def test_a_model_with_processes_of_its_own_is_refused_and_comes_back(live):
    assert change(live, "unload", "apart").status_code == 200
    assert everywhere(live, lambda http: gone(http, "apart"))
    assert change(live, "load", "apart").status_code == 200
    assert everywhere(live, lambda http: says(http, "apart").startswith("t"))
    assert change(live, "load", "apart", config="{}").status_code == 501


@pytest.mark.skipif(not (CLIENTS / ".done").exists(), reason="make .venv-clients/.done")
def test_mlservers_own_stubs(live):
    script = Path(__file__).with_name("with_mlserver.py")
    done = subprocess.run(
        [CLIENTS / "bin" / "python", script, live.url, live.grpc, TOKEN, "pid"],
        env={"NO_PROXY": "127.0.0.1"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == [["UNAVAILABLE"] * 2, ["READY"] * 2] * 2


def test_who_did_what(live):
    with live.http() as http:
        http.post("/v2/repository/models/pid/load", headers={"authorization": "Bearer wrong-token-here"})
        until(
            lambda: "refused" in http.get("/v2/repository/audit", headers=KEY).text or _any(live),
            "noted",
        )
        lines = http.get("/v2/repository/audit", headers=KEY).json()["audit"]
    assert {line["outcome"] for line in lines} >= {"served"}
    assert TOKEN not in json.dumps(lines)


def _any(server: Server) -> bool:
    return change(server, "load", "pid").status_code == 200


def test_the_command_line(live):
    def tandem(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "serve_app", "models", *arguments, "--address", live.url],
            env={"PYTHONPATH": str(ROOT), "TANDEM_ADMIN_TOKEN": TOKEN, "PATH": "/usr/bin"},
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert "READY" in tandem("list").stdout
    assert "UNAVAILABLE  unloaded" in tandem("unload", "pid").stdout
    assert "READY" in tandem("load", "pid").stdout
    assert tandem("load", "nobody").returncode == 1


def test_a_steward_that_is_killed_comes_back_and_knows_everything(live):
    assert change(live, "unload", "pid").status_code == 200
    with Traffic(live, ("/v2/models/reads/infer", {"inputs": []})) as traffic:
        (steward,) = processes(live, "ServeReplica", ":Steward")
        steward.kill()
        assert change(live, "load", "pid").status_code == 200  # the next one takes it
        assert everywhere(live, lambda http: http.get("/v2/models/pid/ready").status_code == 200)
        (other,) = processes(live, "ServeReplica", ":Steward")
        assert other.pid != steward.pid
    assert traffic.failures == []


def test_a_new_router_serves_what_was_done_before_it_is_ready(live):
    assert change(live, "unload", "pid").status_code == 200
    killed = processes(live, "ServeReplica", ":Router")[0]
    killed.kill()
    began, seen = time.monotonic(), set()
    while len(processes(live, "ServeReplica", ":Router")) < ROUTERS or time.monotonic() - began < 3:
        with live.http() as http, contextlib.suppress(httpx.TransportError):  # of the killed one
            seen.add(http.get("/v2/models/pid").status_code)
        assert time.monotonic() - began < 90
    assert 200 not in seen
    until(lambda: everywhere(live, lambda http: gone(http, "pid")), "all of them")
    assert change(live, "load", "pid").status_code == 200
