"""What the API server says of Kubernetes' own kinds beyond their schemas (pkg/apis/*/validation)."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.check.verdict import check

BOX = {"name": "a", "image": "b:1"}
POD = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [BOX]}}
DEPLOYED = {"selector": {"matchLabels": {"a": "b"}}, "template": POD}
PORTS = [{"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "UDP"}]
PATH = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}
JOB = {"template": {"spec": {"containers": [BOX], "restartPolicy": "Never"}}}
ROLE = {"kind": "Role", "name": "a", "apiGroup": "rbac.authorization.k8s.io"}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
TARGET = {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}

# A kind as it may be, a change to it, and where what is said.
KINDS: dict[str, dict[str, Any]] = {
    "Service": {"apiVersion": "v1", "spec": {"ports": PORTS, "type": "NodePort"}},
    "ConfigMap": {"apiVersion": "v1", "data": {"a.b-c_D": "e"}},
    "Secret": {"apiVersion": "v1", "data": {"a": "YQ=="}},
    "PersistentVolumeClaim": {"apiVersion": "v1", "spec": CLAIM},
    "Deployment": {"apiVersion": "apps/v1", "spec": DEPLOYED | {"strategy": {"type": "Recreate"}}},
    "StatefulSet": {"apiVersion": "apps/v1", "spec": DEPLOYED | {"serviceName": "a"}},
    "Job": {"apiVersion": "batch/v1", "spec": JOB | {"backoffLimit": 0}},
    "CronJob": {
        "apiVersion": "batch/v1", "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": JOB}},
    },
    "Ingress": {"apiVersion": "networking.k8s.io/v1", "spec": {"rules": [{"http": {"paths": [PATH]}}]}},
    "NetworkPolicy": {
        "apiVersion": "networking.k8s.io/v1", "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    },
    "RoleBinding": {
        "apiVersion": "rbac.authorization.k8s.io/v1", "roleRef": ROLE,
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "b"}],
    },
    "PodDisruptionBudget": {
        "apiVersion": "policy/v1",
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"a": "b"}}},
    },
    "HorizontalPodAutoscaler": {
        "apiVersion": "autoscaling/v2",
        "spec": {"scaleTargetRef": TARGET, "minReplicas": 2, "maxReplicas": 2},
    },
    "StorageClass": {"apiVersion": "storage.k8s.io/v1", "provisioner": "a", "reclaimPolicy": "Retain"},
}  # fmt: skip
REFUSED: list[tuple[str, Any, str, str]] = [
    ("Service", {"spec": {"type": "LB"}}, "spec.type", "none of ClusterIP"),
    ("Service", {"spec": {"ports": [*PORTS, {"name": "c", "port": 80}]}}, "spec.ports[2].port",
     "80/TCP"),
    ("Service", {"spec": {"ports": []}}, "spec.ports", "headless"),
    ("Service", {"spec": {"type": "ExternalName"}}, "spec.externalName", "required"),
    ("Service", {"metadata": {"name": "1a"}}, "metadata.name", "a letter first"),
    ("Service", {"spec": {"externalTrafficPolicy": "local"}}, "spec.externalTrafficPolicy", "Local"),
    ("ConfigMap", {"data": {"a b": "c"}}, "data.a b", "is no key"),
    ("Secret", {"stringData": {"a/b": "c"}}, "stringData.a/b", "is no key"),
    ("PersistentVolumeClaim", {"spec": {"accessModes": ["RWO"]}}, "spec.accessModes[0]",
     "ReadWriteOnce"),
    ("Deployment", {"spec": {"strategy": {"type": "Rolling"}}}, "spec.strategy.type", "RollingUpdate"),
    ("Deployment", {"spec": {"replicas": -1}}, "spec.replicas", "-1 is negative"),
    ("StatefulSet", {"spec": {"podManagementPolicy": "parallel"}}, "spec.podManagementPolicy",
     "Parallel"),
    ("Job", {"spec": {"completions": -2}}, "spec.completions", "-2 is negative"),
    ("CronJob", {"spec": {"schedule": "61 * * * *"}}, "spec.schedule", "is no schedule"),
    ("CronJob", {"spec": {"concurrencyPolicy": "Skip"}}, "spec.concurrencyPolicy", "Forbid"),
    ("Ingress", {"spec": {"rules": [{"http": {"paths": [PATH | {"pathType": "prefix"}]}}]}},
     "spec.rules[0].http.paths[0].pathType", "Prefix"),
    ("NetworkPolicy", {"spec": {"policyTypes": ["ingress"]}}, "spec.policyTypes[0]", "Ingress"),
    ("RoleBinding", {"roleRef": {"kind": "role"}}, "roleRef.kind", "Role, ClusterRole"),
    ("RoleBinding", {"subjects": [{"kind": "Robot", "name": "a"}]}, "subjects[0].kind",
     "ServiceAccount"),
    ("PodDisruptionBudget", {"spec": {"minAvailable": 1}}, "spec", "exclude each other"),
    ("HorizontalPodAutoscaler", {"spec": {"minReplicas": 3}}, "spec.minReplicas", "3 is more than"),
    ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 0}}, "spec.maxReplicas", "less than 1"),
    ("StorageClass", {"reclaimPolicy": "Keep"}, "reclaimPolicy", "Retain"),
]  # fmt: skip


def merged(one: Any, change: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(change, dict)):
        return change
    return {key: merged(one.get(key), change.get(key, one.get(key))) for key in one | change}


def found(folder: Path, document: dict[str, Any]) -> list[tuple[str, str]]:
    (folder / "a.json").write_text(json.dumps(document))
    return [(one.place, one.what) for one in check(folder / "a.json", None) if one.severity == "error"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right(tmp_path: Path, kind: str) -> None:
    assert found(tmp_path, {"kind": kind, "metadata": {"name": "a"}, **KINDS[kind]}) == []


@pytest.mark.parametrize(("kind", "change", "place", "words"), REFUSED)
def test_what_is_refused(tmp_path: Path, kind: str, change: Any, place: str, words: str) -> None:
    right = {"kind": kind, "metadata": {"name": "a"}, **KINDS[kind]}
    assert any(at == place and words in what for at, what in found(tmp_path, merged(right, change))), (
        found(tmp_path, merged(right, change))
    )


def test_others_kinds_of_the_same_name_are_theirs(tmp_path: Path) -> None:
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "a"}}
    assert found(tmp_path, service | {"spec": {"template": {}}}) == []


@pytest.mark.parametrize("version", ["v1", "rbac.authorization.k8s.io/v1", "ray.io/v1", "a.b/v1"])
def test_what_is_no_namespace(tmp_path: Path, version: str) -> None:
    """Whatever the kind, its CRD here or not: a DNS label (apimachinery, ValidateNamespaceName)."""
    kind = {"v1": "ConfigMap", "ray.io/v1": "RayCluster", "a.b/v1": "C"}.get(version, "Role")
    for name, wrong in (("<yours>", True), ("A", True), ("a.b", True), ("a-1", False)):
        data = {"apiVersion": version, "kind": kind, "metadata": {"name": "a", "namespace": name}}
        assert wrong == any(at == "metadata.namespace" for at, _ in found(tmp_path, data)), name
