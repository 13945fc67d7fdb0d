"""What a RayService manifest comes down to on one machine."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.local.manifest import Manifest, load

ROOT = Path(__file__).parents[4]
CONFIG = "applications:\n- name: tandem\n  import_path: serve_app.app:build_router\n"


def pod(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "ray", "image": "tandem:1", **container}]}}


def service(**spec: Any) -> dict[str, Any]:
    cluster = {
        "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": pod()},
        "workerGroupSpecs": [
            {"groupName": "cpu", "replicas": 2, "minReplicas": 1, "maxReplicas": 3, "template": pod()}
        ],
    }
    found = {"serveConfigV2": CONFIG, "rayClusterConfig": cluster, **spec}
    return {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "x"}, "spec": found}


def read(tmp_path: Path, *documents: Any) -> Manifest:
    path = tmp_path / "service.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return load(path)


def worker(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    return found


def container(group: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = group["template"]["spec"]["containers"][0]
    return found


def test_the_repositorys_own() -> None:
    found = load(ROOT / "rayservice.yaml")
    head, *workers = found.groups
    assert head.name == "head"
    assert head.params["num-cpus"] == "0"
    assert "dashboard-host" not in head.params  # it stays on this machine
    assert found.token
    assert found.without_head
    assert [group.env["RAY_SERVE_ENABLE_HA_PROXY"] for group in found.groups] == ["1"] * len(
        found.groups
    )
    assert workers
    assert {app["name"] for app in found.serve_config["applications"]} == {"tandem", "sentences"}


def test_sizes_come_from_limits_as_with_the_operator(tmp_path: Path) -> None:
    manifest = service()
    container(worker(manifest))["resources"] = {
        "limits": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": 2},
        "requests": {"cpu": "1", "memory": "1Gi"},
    }
    params = read(tmp_path, manifest).groups[1].params
    assert params == {"num-cpus": "2", "memory": str(2 * 2**30), "num-gpus": "2"}


def test_params_win_over_sizes_and_lose_their_quotes(tmp_path: Path) -> None:
    manifest = service()
    container(worker(manifest))["resources"] = {"limits": {"cpu": "4"}}
    worker(manifest)["rayStartParams"] = {
        "num-cpus": "1",
        "resources": '"{\\"fast\\": 2}"',  # the operator hands it to a shell
        "port": "1234",
        "block": "true",
    }
    assert read(tmp_path, manifest).groups[1].params == {"num-cpus": "1", "resources": '{"fast": 2}'}


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_SECRET", "known here")
    manifest = service()
    secret = {"secretKeyRef": {"name": "s", "key": "k"}}
    container(worker(manifest))["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(UNKNOWN)"},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "FROM_SECRET", "valueFrom": secret},
        {"name": "NOT_HERE", "valueFrom": secret},
    ]
    found = read(tmp_path, manifest)
    assert found.groups[1].env == {
        "A": "1",
        "B": "1-$(UNKNOWN)",
        "IP": "127.0.0.1",
        "FROM_SECRET": "known here",
    }
    assert any("NOT_HERE" in note for note in found.notes)


@pytest.mark.parametrize(
    ("key", "value"),
    [("replicas", 3), ("minReplicas", 0), ("maxReplicas", 9), ("idleTimeoutSeconds", 9)],
)
def test_numbers_of_workers_change_in_place(tmp_path: Path, key: str, value: int) -> None:
    old, changed = service(), service()
    worker(changed)[key] = value
    assert read(tmp_path, changed).grown_from(read(tmp_path, old))


def test_config_and_tolerations_change_in_place(tmp_path: Path) -> None:
    old, changed = service(), service(serveConfigV2=CONFIG + "  args: {}\n")
    worker(changed)["template"]["spec"]["tolerations"] = [{"key": "gpu"}]
    assert read(tmp_path, changed).grown_from(read(tmp_path, old))


def test_a_group_at_the_end_is_added_in_place_and_elsewhere_is_not(tmp_path: Path) -> None:
    old = service()
    more = {**copy.deepcopy(worker(old)), "groupName": "more"}
    after, before = service(), service()
    after["spec"]["rayClusterConfig"]["workerGroupSpecs"].append(more)
    before["spec"]["rayClusterConfig"]["workerGroupSpecs"].insert(0, more)
    assert read(tmp_path, after).grown_from(read(tmp_path, old))
    assert not read(tmp_path, before).grown_from(read(tmp_path, old))
    assert not read(tmp_path, old).grown_from(read(tmp_path, after))


@pytest.mark.parametrize(
    "change",
    [
        {"image": "tandem:2"},
        {"env": [{"name": "A", "value": "2"}]},
        {"resources": {"limits": {"cpu": "2"}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_pods_are_makes_a_new_cluster(tmp_path: Path, change: dict[str, Any]) -> None:
    changed = service()
    container(worker(changed)).update(change)
    assert not read(tmp_path, changed).grown_from(read(tmp_path, service()))


def test_defaults(tmp_path: Path) -> None:
    manifest = service()
    del worker(manifest)["replicas"]
    found = read(tmp_path, {"kind": "Secret"}, manifest)
    assert (found.name, found.upgrade, found.delay, found.token) == ("x", "NewCluster", 60, False)
    assert found.groups[1].replicas == 1  # minReplicas
    assert not found.without_head


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([], "found 0"),
        ([{"applications": []}], "found a Serve config: tandem run "),
        ([service(), service()], "found 2"),
        ([{**service(), "spec": {}}], "not a complete RayService"),
        ([{**service(), "spec": {"rayClusterConfig": {}}}], "headGroupSpec"),
    ],
)
def test_what_is_no_service_is_refused(tmp_path: Path, documents: list[Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, *documents)
