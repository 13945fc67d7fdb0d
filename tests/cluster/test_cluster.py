"""On a real cluster, where KUBECONFIG points to one: what its API server says, and a service on it.

The deploy needs KubeRay, the image in the cluster's reach, and TANDEM_CLUSTER_DEPLOY=1: it makes the
namespace `tandem` and removes it again.
"""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from serve_app.ports import free_port
from tests.package.tracked import tracked
from tests.server import ROOT

BUILDS = tracked("configs/k8s/**/kustomization.yaml")
DEV = ROOT / "configs/k8s/overlays/dev"

pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.skipif(
        not (os.environ.get("KUBECONFIG") and shutil.which("kubectl")),
        reason="needs kubectl, and KUBECONFIG pointing to a cluster",
    ),
]


def kubectl(*arguments: str, seconds: int = 120) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["kubectl", *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )


def knows(kind: str) -> bool:
    return kubectl("get", "crd", kind).returncode == 0


@pytest.mark.parametrize("build", BUILDS, ids=lambda path: path.parent.name)
def test_the_api_server_takes_it(build: "os.PathLike[str]") -> None:
    if not knows("rayservices.ray.io"):
        pytest.skip("KubeRay's CRDs aren't installed")
    folder = str(os.path.dirname(build))
    made = kubectl("create", "namespace", "tandem")
    try:
        done = kubectl("apply", "--dry-run=server", "-k", folder)
        errors = [line for line in done.stderr.splitlines() if "no matches for kind" not in line]
        assert done.returncode == 0 or not [line for line in errors if line.startswith("Error")], errors
    finally:
        if made.returncode == 0:
            kubectl("delete", "namespace", "tandem", "--wait=false")


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    """The dev overlay, ready; its HTTP port on this machine."""
    if os.environ.get("TANDEM_CLUSTER_DEPLOY") != "1":
        pytest.skip("TANDEM_CLUSTER_DEPLOY=1 deploys the dev overlay")
    port = free_port()
    try:
        assert kubectl("apply", "-k", str(DEV)).returncode == 0
        ready = ("wait", "rayservice/tandem", "--for=condition=Ready", "--timeout=10m")
        done = kubectl("-n", "tandem", *ready, seconds=660)
        assert done.returncode == 0, doctor().stdout
        command = ["kubectl", "-n", "tandem", "port-forward", "service/tandem-serve-svc", f"{port}:8000"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as forward:
            yield port
            forward.terminate()
    finally:
        kubectl("delete", "-k", str(DEV), "--wait=false")


def doctor() -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serve_app", "doctor", "tandem"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_request_is_answered_and_the_doctor_is_content(service: int) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2]}
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            client = http.client.HTTPConnection("127.0.0.1", service, timeout=30)
            client.request("POST", "/v2/models/identity/infer", json.dumps({"inputs": [tensor]}))
            answer = client.getresponse()
            assert answer.status == 200
            assert json.load(answer)["outputs"][0]["data"] == [1.5, 2]
            break
        assert time.monotonic() < deadline
        time.sleep(1)
    done = doctor()
    assert (done.returncode, done.stdout) == (0, "tandem is ready\n")
