"""`kubectl apply` a second time changes nothing, and says so.

It sends what differs between a file and the object that the API server keeps. Maps may lack what the
server adds; most lists are compared as they are. So what is added inside a list is written out: by the
CRDs' defaults, by what a real API server and operator made of the RayService, and by Kubernetes' rules.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.check.crds import Crds
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.kustomize import NAMES
from serve_app.tools.kube.sources import documents
from tests.package.crd import ROOT, crd_folder
from tests.package.tracked import tracked

BUILDS = sorted({path.parent for name in NAMES for path in tracked(f"configs/**/{name}")})
APPLIED = [*BUILDS, *tracked("configs/k8s/ray/*.yaml"), *tracked("configs/kserve/**/*.yaml")]
RECORDED = Path(__file__).parent / "recorded"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def of(path: Path) -> list[Document]:
    return [one for one in documents(path) if one.kind != "Component"]


def added(schema: dict[str, Any], data: Any, place: str = "", listed: bool = False) -> Iterator[str]:
    """Where a default is put inside of a list."""
    fields = schema.get("properties") or {}
    if isinstance(data, dict):
        for key, inner in fields.items():
            if key in data:
                yield from added(inner, data[key], f"{place}.{key}", listed)
            elif listed and "default" in inner:
                yield f"{place}.{key}: {inner['default']!r}"
    elif isinstance(data, list):
        for at, item in enumerate(data):
            yield from added(schema.get("items") or {}, item, f"{place}[{at}]", True)


@pytest.mark.parametrize("path", APPLIED, ids=name)
def test_the_crds_add_nothing_to_lists(path: Path) -> None:
    crds = Crds(crd_folder())
    for one in of(path):
        if found := crds.find(one.group, one.kind):
            (schema,) = (v for v in found["spec"]["versions"] if v["name"] == one.version)
            assert list(added(schema["schema"]["openAPIV3Schema"], one.data)) == []


def more(kept: Any, ours: Any, place: str = "", listed: bool = False) -> Iterator[str]:
    """What a list of the kept object has that ours hasn't."""
    if isinstance(kept, dict):
        for key, value in kept.items():
            if key in ours:
                yield from more(value, ours[key], f"{place}.{key}", listed)
            elif listed:
                yield f"{place}.{key}: {value!r}"
    elif isinstance(kept, list):
        for at, (value, own) in enumerate(zip(kept, ours, strict=True)):
            yield from more(value, own, f"{place}[{at}]", True)
    elif kept != ours:
        yield f"{place}: {kept!r}, not {ours!r}"


def test_a_real_cluster_kept_what_the_rayservice_says() -> None:
    """The operator writes it once more, as its own types have it: `scaleStrategy: {}`, GPUs as text."""
    kept = json.loads((RECORDED / "rayservice.json").read_text())
    (ours,) = (one.data for one in of(ROOT / "rayservice.yaml"))
    assert list(more(kept, ours["spec"]["rayClusterConfig"])) == []


def unsaid(one: Document) -> Iterator[str]:
    """Of Kubernetes' own kinds, and the Gateway API's, what is added to lists."""
    spec = one.data.get("spec") or {}
    if one.kind == "NetworkPolicy":
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            yield from (
                f"protocol of {port}" for port in rule.get("ports", []) if "protocol" not in port
            )
    if one.kind == "StatefulSet":
        for claim in spec.get("volumeClaimTemplates", []):
            wanted = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "status": {"phase": "Pending"},
            }
            yield from (key for key, value in wanted.items() if claim.get(key) != value)
            yield from ["volumeMode"] if claim["spec"].get("volumeMode") != "Filesystem" else []
    if one.group == "gateway.networking.k8s.io":
        for parent in spec.get("parentRefs", []):
            yield from {"group", "kind"} - parent.keys()
        for rule in spec["rules"]:
            yield from (["matches"] if one.kind == "HTTPRoute" and "matches" not in rule else [])
            for match in rule.get("matches", []):
                part = match.get("path") or match.get("method") or {}
                yield from {"type"} - part.keys()
            for backend in rule["backendRefs"]:
                yield from {"group", "kind", "weight"} - backend.keys()


@pytest.mark.parametrize("path", APPLIED, ids=name)
def test_kubernetes_adds_nothing_to_lists(path: Path) -> None:
    assert [f"{one.kind}/{one.name}: {what}" for one in of(path) for what in unsaid(one)] == []


# What a kind needs, in the words with which its kustomization has to say so.
NEEDS = {
    "monitoring.coreos.com": "Prometheus' operator",
    "gateway.networking.k8s.io": "Gateway API",
    "ray.io": "KubeRay",
}
# KubeRay alone is every overlay's.
OVERLAYS = [path for path in BUILDS if path.is_relative_to(ROOT / "configs/k8s/overlays")]


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_an_overlay_says_what_the_cluster_needs(path: Path) -> None:
    said = (path / "kustomization.yaml").read_text()
    groups = {one.group for one in of(path)} & NEEDS.keys() - {"ray.io"}
    assert [NEEDS[group] for group in groups if NEEDS[group] not in said] == []


def test_the_base_needs_kuberay_alone() -> None:
    kinds = {(one.group, one.kind) for one in of(ROOT / "configs/k8s/base")}
    assert {group for group, _ in kinds if "." in group and not group.endswith(".k8s.io")} == {"ray.io"}
    assert ("monitoring.coreos.com", "PodMonitor") not in kinds


def test_the_component_brings_metrics_alerts_and_a_dashboard() -> None:
    base = {(one.kind, one.name) for one in of(ROOT / "configs/k8s/base")}
    own = [
        one for one in of(ROOT / "configs/k8s/overlays/monitored") if (one.kind, one.name) not in base
    ]
    assert {(one.kind, one.name, one.data["metadata"]["namespace"]) for one in own} == {
        ("PodMonitor", "tandem", "tandem"), ("PrometheusRule", "tandem", "tandem"),
        ("ConfigMap", "tandem-dashboard", "tandem"),
    }  # fmt: skip
    (board,) = (one.data for one in own if one.kind == "ConfigMap")
    assert board["data"]["tandem.json"] == (ROOT / "configs/dashboards/tandem.json").read_text()
    # `kubectl apply` keeps a copy in an annotation, and these have a limit.
    assert all(len(json.dumps(one.data)) < 250_000 for one in own)


def test_the_namespace_is_applied_before_and_is_the_same_then() -> None:
    """`kubectl create namespace` would leave one that `apply` warns of."""
    (alone,) = documents(ROOT / "configs/k8s/base/namespace.yaml")
    (built,) = (one for one in of(ROOT / "configs/k8s/base") if one.kind == "Namespace")
    assert alone.data == built.data
