"""The image as KubeRay would use it: head and workers in containers, one cluster, real clients.

Runs where TANDEM_IMAGE names a built image and TANDEM_CONTAINERS the command that runs one:

    TANDEM_IMAGE=tandem:0.1.0 TANDEM_CONTAINERS="docker run" pytest tests/image
"""

import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from loadtests.proofs.local import Local, settled
from loadtests.proofs.manifest import WORKERS, manifest

IMAGE, RUN = os.environ.get("TANDEM_IMAGE", ""), os.environ.get("TANDEM_CONTAINERS", "")
VALUES = np.array([[1.5, -2, 3]], np.float32)

pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.skipif(
        not (IMAGE and RUN), reason="set TANDEM_IMAGE and TANDEM_CONTAINERS: `make image` builds one"
    ),
]


def engine(*arguments: str) -> "subprocess.CompletedProcess[str]":
    words = shlex.split(RUN)
    command = [*words[: words.index("run")], *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    service = manifest(models="/app")
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        group["template"]["spec"]["containers"][0]["image"] = IMAGE
    with Local(service, RUN) as found:
        found.until(lambda state: settled(state, WORKERS), f"{WORKERS} workers that serve")
        yield found


def workers(local: Local) -> list[dict[str, Any]]:
    nodes = local.state()["activeServiceStatus"]["nodes"]
    return [node for node in nodes if node["group"] != "head"]


def given(module: Any) -> Any:
    tensor = module.InferInput("x", [1, 3], "FP32")
    tensor.set_data_from_numpy(VALUES)
    return tensor


def test_tritonclient_is_answered_over_http_and_grpc(local: Local) -> None:
    with triton_grpc.InferenceServerClient(local.target.grpc) as client:
        assert client.is_server_ready()
        answer = client.infer("identity", [given(triton_grpc)])
    np.testing.assert_array_equal(answer.as_numpy("x"), VALUES)
    with triton_http.InferenceServerClient(local.target.http.removeprefix("http://")) as client:
        answer = client.infer("identity", [given(triton_http)])
        np.testing.assert_array_equal(answer.as_numpy("x"), VALUES)
        pixels = triton_http.InferInput("pixels", [1, 64], "FP32")
        pixels.set_data_from_numpy(np.zeros((1, 64), np.float32))
        assert client.infer("digits-remote", [pixels]).as_numpy("probabilities").shape == (1, 10)


def test_kuberays_probe_works_inside(local: Local) -> None:
    for node in workers(local):
        url = f"http://127.0.0.1:{node['httpPort']}/-/healthz"
        done = engine("exec", node["name"], "wget", "--tries", "1", "-T", "2", "-q", "-O-", url)
        assert (done.returncode, done.stdout) == (0, "success"), done.stderr


def test_nobody_in_it_is_root_or_can_become_it(local: Local) -> None:
    for node in workers(local):
        assert engine("exec", node["name"], "id", "-u").stdout == "1000\n"
        status = engine("exec", node["name"], "cat", "/proc/1/status").stdout
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        found = engine("exec", node["name"], "sh", "-c", "command -v sudo; command -v gcc; true")
        assert found.stdout == ""


def test_a_worker_that_is_killed_is_missed_by_no_later_request(local: Local) -> None:
    stop, failures, sent = threading.Event(), list[tuple[float, str]](), [0]

    def ask() -> None:
        with triton_http.InferenceServerClient(local.target.http.removeprefix("http://")) as client:
            while not stop.is_set():
                begun = time.monotonic()
                try:
                    client.infer("identity", [given(triton_http)])
                except Exception as error:
                    failures.append((begun, repr(error)))
                sent[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    victim = workers(local)[0]["name"]
    assert engine("kill", victim).returncode == 0
    gone = time.monotonic()
    local.until(
        lambda s: settled(s, WORKERS) and victim not in json.dumps(s["activeServiceStatus"]["nodes"]),
        "another worker",
    )
    recovered = time.monotonic() - gone
    stop.set()
    for thread in threads:
        thread.join()
    later = [one for one in failures if one[0] > gone]
    print(
        f"\n{len(failures)} of {sent[0]} requests failed; another worker served after {recovered:.0f} s"
    )
    assert later == []
    assert sent[0] > 100
