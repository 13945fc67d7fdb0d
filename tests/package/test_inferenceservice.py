"""configs/kserve against KServe's CRDs, the config that it stands for and the twin's own command line.

And what a widely read article writes into such manifests: fields that KServe and KubeRay never had.
"""

import copy
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

import serve_app
from loadtests import hosted
from loadtests.kserve.__main__ import options_of
from serve_app.config import ModelConfig
from tests.package.crd import ROOT, problems
from tests.package.kserve_manifests import (
    CONFIG,
    MANIFESTS,
    MODELS,
    MOUNT,
    RUNTIME,
    SERVICES,
    container,
    from_runtime,
    predictor,
)

DRAIN_S = 30  # KServe's grace_period
RAY = yaml.safe_load((ROOT / "rayservice.yaml").read_text())["spec"]["rayClusterConfig"]
WORKER = RAY["workerGroupSpecs"][0]["template"]["spec"]
each_service = pytest.mark.parametrize("name", SERVICES)


def quantity(text: str) -> float:
    units = {"": 1.0, "m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30}
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", text).groups()  # type: ignore[union-attr]
    return float(number) * units[unit]


@pytest.mark.parametrize("name", MANIFESTS)
def test_schema(name: str) -> None:
    assert problems(MANIFESTS[name]) == []


def test_every_inline_model_has_a_service() -> None:
    assert set(SERVICES) == {name for name in MODELS if not name.endswith("-remote")}
    for name, manifest in SERVICES.items():
        assert manifest["metadata"]["name"] == name


@each_service
def test_service_is_the_configs_model(name: str) -> None:
    model = predictor(name).get("model")
    if model is None:  # KServe would take it for a server of many models
        assert MODELS[name].storage_uri is None
        return
    assert model["modelFormat"] == {"name": MODELS[name].model_format}
    assert re.fullmatch(r"(pvc|s3|gs)://[a-z][-a-z0-9]*(/[-\w.]+)+", model["storageUri"])
    assert PurePosixPath(model["storageUri"]).name == PurePosixPath(MODELS[name].storage_uri).name
    runtime = RUNTIME["spec"]
    assert model["runtime"] == RUNTIME["metadata"]["name"]
    assert model["modelFormat"]["name"] in [entry["name"] for entry in runtime["supportedModelFormats"]]
    assert model["protocolVersion"] == runtime["protocolVersions"][0] == "v2"


@each_service
def test_args(name: str) -> None:
    options = options_of(container(name)["args"])
    assert vars(options) == {
        "config": Path(CONFIG),
        "model": name,
        "storage": MOUNT if MODELS[name].storage_uri else "",
        "host": "0.0.0.0",
        "http_port": 8080,
        "grpc_port": 9000,
        "tuned": False,
    }


@each_service
def test_everything_else_is_the_configs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class, options, batching, inputs, outputs: they aren't in the manifest, so they can't differ."""
    seen: list[ModelConfig] = []

    class Host:
        def __init__(self, config: ModelConfig) -> None:
            self.name, self.failed = config.name, dict[str, str]()
            seen.append(config)

        def load(self) -> list[Any]:
            return []

    monkeypatch.setattr(hosted, "ModelHost", Host)
    options = options_of(container(name)["args"])
    assert set(hosted.load(ROOT / options.config, {options.model}, options.storage)) == {name}
    expected = MODELS[name]
    if expected.storage_uri:
        expected = expected.model_copy(update={"storage_uri": MOUNT})
    assert seen == [expected]


def test_command_line() -> None:
    required = ["--config=a", "--http-port=1", "--grpc-port=2"]
    plain = options_of(required)
    assert (plain.host, plain.model, plain.storage) == ("127.0.0.1", "", "")
    with pytest.raises(SystemExit, match="--model says of which"):
        options_of([*required, "--storage=/mnt/models"])
    with pytest.raises(SystemExit):
        options_of([*required, "--model_name=digits"])


@each_service
def test_ports_and_probes(name: str) -> None:
    found = container(name)
    options = options_of(found["args"])
    assert found["name"] == "kserve-container"  # by which KServe knows it
    assert found["ports"] == [  # the first becomes the service's port 80; h2c is known by its name
        {"name": "http1", "containerPort": options.http_port, "protocol": "TCP"},
        {"name": "h2c", "containerPort": options.grpc_port, "protocol": "TCP"},
    ]
    probes = {key: found[key]["httpGet"] for key in found if key.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/v2/health/live", "port": "http1"},
        "livenessProbe": {"path": "/v2/health/live", "port": "http1"},
        "readinessProbe": {"path": f"/v2/models/{name}/ready", "port": "http1"},
    }
    assert "command" not in found  # the image's own


def test_identity_has_the_runtimes_container() -> None:
    ours, runtimes = container("identity"), from_runtime("identity", {})
    assert runtimes["args"].count(f"--storage={MOUNT}") == 1
    runtimes["args"].remove(f"--storage={MOUNT}")
    assert {key: value for key, value in ours.items() if key != "resources"} == runtimes
    annotations = MANIFESTS["identity"]["metadata"]["annotations"]
    assert annotations.items() >= RUNTIME["spec"]["annotations"].items()


@each_service
def test_mode_and_replicas(name: str) -> None:
    """Both ports of one pod: Knative has no room for the second. No scaling: Tandem has one replica."""
    annotations = SERVICES[name]["metadata"]["annotations"]
    assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
    assert predictor(name)["minReplicas"] == predictor(name)["maxReplicas"] == 1
    assert predictor(name)["terminationGracePeriodSeconds"] > DRAIN_S


@each_service
def test_least_privilege(name: str) -> None:
    (worker,) = WORKER["containers"]
    assert predictor(name)["securityContext"] == WORKER["securityContext"]
    assert predictor(name)["automountServiceAccountToken"] is False
    # But for the root filesystem: what KServe's server writes, and where, is KServe's affair.
    ours = {**worker["securityContext"]}
    assert ours.pop("readOnlyRootFilesystem")
    assert container(name)["securityContext"] == ours
    assert container(name)["image"] == f"tandem-kserve-twin:{serve_app.__version__}"


def test_resources_are_tandems() -> None:
    """Together they reserve what Tandem's worker does; one under load may use as many CPUs as Tandem."""
    tandem = WORKER["containers"][0]["resources"]
    found = [container(name)["resources"] for name in SERVICES]
    for kind in ("cpu", "memory"):
        reserved = sum(quantity(resources["requests"][kind]) for resources in found)
        assert reserved == quantity(tandem["requests"][kind])
    assert {resources["limits"]["cpu"] for resources in found} == {tandem["limits"]["cpu"]}
    assert all(item["limits"]["memory"] == item["requests"]["memory"] for item in found)


ARTICLE = [
    ("InferenceService", "spec.explainer", "type", "LIME"),
    ("InferenceService", "spec", "autoscaling", {"minReplicas": 1}),
    ("InferenceService", "spec", "autoConfig", True),
    ("InferenceService", "spec.predictor", "autoConfig", True),
    ("InferenceService", "spec.predictor.model", "autoConfig", True),
    ("InferenceService", "spec", "logging", {"mode": "all"}),
    ("InferenceService", "spec.predictor.pytorch", "cache", {"enabled": True}),
    ("InferenceService", "spec.predictor.model", "traffic", 90),
    ("RayCluster", "spec", "head", {}),
    ("RayCluster", "spec", "worker", {}),
]


@pytest.mark.parametrize(
    ("kind", "place", "field", "value"), ARTICLE, ids=[f"{kind} {p}.{f}" for kind, p, f, _ in ARTICLE]
)
def test_the_articles_fields_are_refused(kind: str, place: str, field: str, value: Any) -> None:
    """Each alone, in a manifest that is valid without it."""
    valid = {
        "InferenceService": MANIFESTS["digits"],
        "RayCluster": {
            "apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "a"}, "spec": RAY,
        },
    }[kind]  # fmt: skip
    assert problems(valid) == []
    broken = copy.deepcopy(valid)
    inner = broken
    for step in place.split("."):
        inner = inner.setdefault(step, {})
    assert problems(broken) == []
    inner[field] = value
    (refused,) = problems(broken)
    assert refused.startswith(f"{place}.{field}: unknown field")
