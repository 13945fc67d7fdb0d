"""rayservice.yaml against the rules of KubeRay's operator, and against our own check."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import serve_app
from serve_app.errors import ConfigError
from serve_app.tools.check import load_checked
from serve_app.tools.check.demand import demands
from serve_app.tools.kube.documents import read
from serve_app.tools.kube.ray_cluster import RayCluster
from serve_app.tools.run.environment import HIGH_THROUGHPUT, LOG_FILES

ROOT = Path(__file__).parents[2]
ENV = {
    **HIGH_THROUGHPUT,
    **LOG_FILES,
    "RAY_worker_niceness": "0",
    "RAY_LOG_TO_STDERR": "1",  # as Ray's documentation has it for collectors of pods' output
    "RAY_BACKEND_LOG_LEVEL": "warning",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "60",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "10",
}


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
        "as-metrics": 44217,
        "dash-metrics": 44227,
        "serve": 8000,
        "serve-grpc": 9000,
    }


def test_worker_groups(cluster: dict[str, Any]) -> None:
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["autoscalerOptions"]["version"] == "v2"
    cpu, gpu = cluster["workerGroupSpecs"]
    for group in (cpu, gpu):
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert cpu["minReplicas"] == 2  # one may go
    assert gpu["minReplicas"] == 0
    assert container(gpu)["resources"]["limits"]["nvidia.com/gpu"] == "1"  # as the API server keeps it


def test_a_head_may_be_replaced(cluster: dict[str, Any]) -> None:
    options = cluster["gcsFaultToleranceOptions"]
    assert set(options["redisPassword"]) == {"valueFrom"}  # and no password here
    redis = {one.kind: one.data for one in read(ROOT / "configs/k8s/base/redis.yaml")}
    name, _, port = options["redisAddress"].partition(":")
    assert redis["Service"]["metadata"]["name"] == name
    assert str(redis["Service"]["spec"]["ports"][0]["port"]) == port


def test_tokens_are_required(cluster: dict[str, Any]) -> None:
    assert cluster["authOptions"] == {"mode": "token"}
    assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52, 0)


def test_ray_is_the_locked_one(cluster: dict[str, Any]) -> None:
    lock = (ROOT / "configs/locks/serve.txt").read_text()
    assert re.search(rf"^ray=={re.escape(cluster['rayVersion'])} ", lock, re.MULTILINE)


def test_one_image(groups: list[dict[str, Any]]) -> None:
    head, cpu, gpu = (container(group)["image"] for group in groups)
    assert (head, cpu, gpu) == (own := f"tandem:{serve_app.__version__}", own, f"{own}-gpu")


def test_same_mode_everywhere(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        env = container(group)["env"]
        assert {entry["name"]: entry["value"] for entry in env} == ENV
        assert len(env) == len(ENV)


def test_time_to_drain(groups: list[dict[str, Any]]) -> None:
    """The drain outlasts a replica's stop, and the pod's grace the drain."""
    stop = max(20, float(ENV["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"]) + 5)
    for group in groups:
        grace = pod(group)["terminationGracePeriodSeconds"]
        assert stop + 30 < float(ENV["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]) < grace - 20
        assert "lifecycle" not in container(group)  # `ray stop` before the end would skip the drain


def test_least_privilege(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        assert pod(group)["securityContext"]["runAsNonRoot"] is True
        assert pod(group)["securityContext"]["runAsUser"] == 1000
        assert pod(group)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(group)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        # What Ray and libraries write into is there, and nobody else's.
        places = {one["name"]: one["mountPath"] for one in container(group)["volumeMounts"]}
        assert places == {"tmp": "/tmp", "home": "/home/tandem"}
        assert pod(group)["volumes"] == [{"name": name, "emptyDir": {}} for name in places]


def test_applications_fit_on_the_least_number_of_workers() -> None:
    (document,) = read(ROOT / "rayservice.yaml")
    assert document.config
    place, config, _ = document.config
    cluster = RayCluster.of(document.data)
    assert cluster
    workers, _ = cluster.workers
    asked = sum(one.least * one.sizes["num_cpus"] for one in demands(config, place))
    assert 0 < asked <= workers.get("minReplicas") * workers.offers["num_cpus"]


def test_serve_config_is_the_quickstart_twice(manifest: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "serve.yaml").write_text(manifest["spec"]["serveConfigV2"])
    config = load_checked(tmp_path / "serve.yaml")
    assert config["http_options"] == {"host": "0.0.0.0", "port": 8000}
    config["http_options"]["host"] = "127.0.0.1"
    tandem, sentences = config["applications"]
    (router,) = tandem["deployments"]
    assert (router.pop("num_replicas"), router.pop("max_replicas_per_node")) == (2, 1)
    names = {one["name"]: one["max_replicas_per_node"] for one in sentences.pop("deployments")}
    assert names == {"ModelReplica": 1, "Tokenizer": 1}
    assert (sentences["args"]["replicas"], sentences["args"]["tokenizer"]["replicas"]) == (2, 2)
    sentences["args"]["replicas"] = sentences["args"]["tokenizer"]["replicas"] = 1
    assert config == load_checked(ROOT / "configs/quickstart.yaml")


def test_serve_config_is_checked(manifest: dict[str, Any], tmp_path: Path) -> None:
    text = manifest["spec"]["serveConfigV2"].replace("maxBatchSize", "maxBatchsize")
    (tmp_path / "serve.yaml").write_text(text)
    with pytest.raises(ConfigError, match="did you mean maxBatchSize"):
        load_checked(tmp_path / "serve.yaml")
