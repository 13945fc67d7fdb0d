"""rayservice.yaml against the rules of KubeRay's operator, and against our own check."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import serve_app
from serve_app.check import load_checked
from serve_app.errors import ConfigError
from serve_app.launcher import HIGH_THROUGHPUT

ROOT = Path(__file__).parents[2]
IMAGE_ROOT = "/app/"
DRAIN_S = 30  # RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S
THROUGHPUT = {**HIGH_THROUGHPUT, "RAY_worker_niceness": "0"}


@pytest.fixture
def manifest() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "rayservice.yaml").read_text())


@pytest.fixture
def cluster(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["rayClusterConfig"]


@pytest.fixture
def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def pod(group: dict[str, Any]) -> dict[str, Any]:
    return group["template"]["spec"]


def container(group: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod(group)["containers"]
    return only


def test_name(manifest: dict[str, Any]) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayService")
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", manifest["metadata"]["name"])


def test_head(cluster: dict[str, Any]) -> None:
    head = cluster["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "dashboard-host": "0.0.0.0"}
    assert "metadata" not in head.get("headService", {})
    # Named ports replace KubeRay's defaults. The serve service takes over `serve` and `serve-*`.
    ports = {port["name"]: port["containerPort"] for port in container(head)["ports"]}
    assert ports == {
        "gcs": 6379,
        "dashboard": 8265,
        "client": 10001,
        "metrics": 8080,
        "serve": 8000,
        "serve-grpc": 9000,
    }


def test_worker_groups(cluster: dict[str, Any]) -> None:
    assert not cluster.get("enableInTreeAutoscaling")  # then these are required
    assert cluster["workerGroupSpecs"]
    for group in cluster["workerGroupSpecs"]:
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_tokens_are_required(cluster: dict[str, Any]) -> None:
    assert cluster["authOptions"] == {"mode": "token"}
    assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52, 0)


def test_ray_is_the_locked_one(cluster: dict[str, Any]) -> None:
    lock = (ROOT / "configs/locks/serve.txt").read_text()
    assert re.search(rf"^ray=={re.escape(cluster['rayVersion'])} ", lock, re.MULTILINE)


def test_one_image(groups: list[dict[str, Any]]) -> None:
    assert {container(group)["image"] for group in groups} == {f"tandem:{serve_app.__version__}"}


def test_same_mode_everywhere(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        env = container(group)["env"]
        assert {entry["name"]: entry["value"] for entry in env} == THROUGHPUT
        assert len(env) == len(THROUGHPUT)


def test_time_to_drain(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        assert 75 <= pod(group)["terminationGracePeriodSeconds"] <= 120
        assert pod(group)["terminationGracePeriodSeconds"] > 2 * DRAIN_S
        assert "lifecycle" not in container(group)  # `ray stop` before the end would skip the drain


def test_least_privilege(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        assert pod(group)["securityContext"]["runAsNonRoot"] is True
        assert pod(group)["securityContext"]["runAsUser"] == 1000
        assert pod(group)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(group)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }


def test_applications_fit(cluster: dict[str, Any], manifest: dict[str, Any]) -> None:
    (workers,) = cluster["workerGroupSpecs"]
    reserved = 0.0
    for app in yaml.safe_load(manifest["spec"]["serveConfigV2"])["applications"]:
        for deployment in app.get("deployments", []):
            reserved += deployment["ray_actor_options"]["num_cpus"]
        args = app.get("args", {})
        if args:
            reserved += args["replicas"] * args["resources"]["num_cpus"]
            reserved += args["tokenizer"]["replicas"] * args["tokenizer"]["num_cpus"]
    assert reserved > 0
    assert reserved <= workers["minReplicas"] * float(container(workers)["resources"]["limits"]["cpu"])
    for size in ("requests", "limits"):
        assert set(container(workers)["resources"][size]) == {"cpu", "memory"}


def test_serve_config_is_the_quickstart(manifest: dict[str, Any], tmp_path: Path) -> None:
    text = manifest["spec"]["serveConfigV2"]
    (tmp_path / "serve.yaml").write_text(text)
    config = load_checked(tmp_path / "serve.yaml")
    assert config["http_options"] == {"host": "0.0.0.0", "port": 8000}
    config["http_options"]["host"] = "127.0.0.1"
    quickstart = load_checked(ROOT / "configs/quickstart.yaml")
    assert _relative(config) == quickstart


def test_serve_config_is_checked(manifest: dict[str, Any], tmp_path: Path) -> None:
    text = manifest["spec"]["serveConfigV2"].replace("maxBatchSize", "maxBatchsize")
    (tmp_path / "serve.yaml").write_text(text)
    with pytest.raises(ConfigError, match="did you mean maxBatchSize"):
        load_checked(tmp_path / "serve.yaml")


def _relative(value: Any) -> Any:
    """With storageUris as in the working tree."""
    if isinstance(value, list):
        return [_relative(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: _relative(inner) for key, inner in value.items()}
    if "storageUri" in out:
        assert out["storageUri"].startswith(IMAGE_ROOT)
        out["storageUri"] = out["storageUri"].removeprefix(IMAGE_ROOT)
    return out
