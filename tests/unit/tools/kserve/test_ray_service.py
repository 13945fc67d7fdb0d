"""The RayService that an InferenceService becomes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.tools.check.verdict import check
from serve_app.tools.convert.manifests import dumped
from serve_app.tools.kserve import both_ways, ray_service
from serve_app.tools.local.manifest import load
from tests.package.crd import ROOT, problems
from tests.unit.tools.kserve.isvc import isvc, model, onnx, services

SIZED = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1536Mi"}}


def made(*data: dict[str, Any], **options: Any) -> dict[str, Any]:
    return both_ways.ray_service(services(*data), **options)


def groups(manifest: dict[str, Any]) -> dict[str, Any]:
    return {one["groupName"]: one for one in manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]}


def pod(group: dict[str, Any]) -> dict[str, Any]:
    return group["template"]["spec"]


def test_what_it_is_made_of_is_the_repositorys_own() -> None:
    """Everything but Redis, replicas, and pods that are the model's."""
    own = yaml.safe_load((ROOT / "rayservice.yaml").read_text())
    ours = made(isvc(onnx()))
    for part in (own, ours):
        del part["metadata"], part["spec"]["serveConfigV2"]
        cluster = part["spec"]["rayClusterConfig"]
        cluster.pop("gcsFaultToleranceOptions", None)
        worker = cluster["workerGroupSpecs"][0]
        cluster["workerGroupSpecs"] = [worker]
        for key in ("groupName", "replicas", "minReplicas", "maxReplicas"):
            del worker[key]
        pod(worker).pop("topologySpreadConstraints", None)
        pod(worker)["containers"][0].pop("resources")
        for group in (cluster["headGroupSpec"], worker):
            group["template"]["metadata"]["labels"].pop("app", None)
    assert ours == own


@pytest.mark.parametrize(
    "data",
    [
        isvc(onnx()),
        isvc(onnx(minReplicas=0, maxReplicas=3)),
        isvc(model("onnx", resources=SIZED)),
        isvc(model("huggingface", args=["--task=text_embedding"])),
        isvc(model("vllm", resources={"limits": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"}})),
        isvc(onnx(), annotations={"tandem/placement": "inline"}),
    ],
    ids=["plain", "scaled", "sized", "text", "llm", "inline"],
)
def test_nothing_is_wrong_with_it(tmp_path: Path, data: dict[str, Any]) -> None:
    manifest = made(data)
    assert problems(manifest) == []
    (tmp_path / "r.yaml").write_text(dumped([manifest]))
    found = [one for one in check(tmp_path / "r.yaml", None) if one.severity != "note"]
    assert [str(one) for one in found] == []
    assert load(tmp_path / "r.yaml").name == "m"


def test_one_pod_for_each_replica_and_one_more_for_a_change() -> None:
    manifest = made(isvc(onnx(minReplicas=2, maxReplicas=5)))
    group = groups(manifest)["m"]
    assert (group["minReplicas"], group["maxReplicas"]) == (2, 7)
    assert group["rayStartParams"] == {"resources": """'{"m": 1}'"""}
    _, app = yaml.safe_load(manifest["spec"]["serveConfigV2"])["applications"]
    assert app["deployments"] == [
        {"name": "ModelReplica", "ray_actor_options": {"num_cpus": 1, "resources": {"m": 1}}}
    ]


def test_a_pod_has_what_the_predictor_says() -> None:
    predictor = model("onnx", resources=SIZED, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    predictor["model"]["storageUri"] = "pvc://claim/m"
    predictor |= {
        "nodeSelector": {"gpu": "a100"}, "tolerations": [{"key": "gpu"}], "serviceAccountName": "sa",
        "volumes": [{"name": "v", "emptyDir": {}}], "labels": {"team": "a"},
    }  # fmt: skip
    group = groups(made(isvc(predictor)))["m"]
    spec, (box,) = pod(group), pod(group)["containers"]
    assert spec["nodeSelector"] == {"gpu": "a100"}
    assert spec["serviceAccountName"] == "sa"
    assert group["template"]["metadata"]["labels"] == {"tandem-node": "worker", "team": "a"}
    assert {"name": "claim", "persistentVolumeClaim": {"claimName": "claim", "readOnly": True}} in (
        spec["volumes"]
    )
    assert {"name": "claim", "mountPath": "/mnt/pvc/claim", "readOnly": True} in box["volumeMounts"]
    assert box["resources"] == {  # with Ray's own GiB
        "requests": {"cpu": "500m", "memory": "2Gi"},
        "limits": {"cpu": "2", "memory": "2560Mi"},
    }
    assert "nodeSelector" not in pod(groups(made(isvc(predictor)))["router"])


def test_several_services_have_a_group_each() -> None:
    manifest = made(isvc(onnx(), name="a"), isvc(onnx(), name="router"))
    assert list(groups(manifest)) == ["tandem-router", "a", "router"]
    assert manifest["metadata"]["name"] == "tandem"
    assert (
        made(isvc(onnx(), name="a"), isvc(onnx(), name="b"), name="both")["metadata"]["name"] == "both"
    )


def test_names_and_images() -> None:
    manifest = made(isvc(onnx()), name="n", image="mine:1")
    assert manifest["metadata"]["name"] == "n"
    images = {pod(one)["containers"][0]["image"] for one in groups(manifest).values()}
    assert images == {"mine:1"}


@pytest.mark.parametrize(
    ("said", "expected"), [("1Gi", "2Gi"), ("100Mi", "1124Mi"), ("1G", "2073741824"), (1, "1073741825")]
)
def test_memory_of_ray_beside_the_models(said: Any, expected: str) -> None:
    assert ray_service.sizes({"limits": {"memory": said}}) == {"limits": {"memory": expected}}


def test_kserves_own_sizes_where_nothing_is_said() -> None:
    usual = {"cpu": "1", "memory": "3Gi"}
    assert ray_service.sizes({}) == {"requests": usual, "limits": usual}


def test_run_here_with_a_node_for_each_pod(tmp_path: Path) -> None:
    """`tandem local` takes the file itself."""
    path = tmp_path / "isvc.yaml"
    path.write_text(dumped([isvc(onnx(minReplicas=2, maxReplicas=3), name="flowers")]))
    found = load(path)
    assert found.name == "flowers"
    assert [(one.name, one.replicas) for one in found.groups] == [
        ("head", 1), ("router", 1), ("flowers", 2),
    ]  # fmt: skip
    assert found.groups[2].params["resources"] == '{"flowers": 1}'
    names = [one["name"] for one in found.serve_config["applications"]]
    assert names == ["tandem", "flowers"]


def test_a_changed_file_is_deployed(tmp_path: Path) -> None:
    """`tandem deploy` takes it as `tandem run` does; a manifest of KubeRay's goes another way."""
    from serve_app.tools.deploy.command import _kind

    (tmp_path / "isvc.yaml").write_text(dumped([isvc(onnx())]))
    (tmp_path / "ray.yaml").write_text(dumped([made(isvc(onnx()))]))
    assert _kind(tmp_path / "isvc.yaml") == ""
    assert _kind(tmp_path / "ray.yaml") == "RayService"
