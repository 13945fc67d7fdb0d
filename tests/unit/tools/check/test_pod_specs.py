"""What Kubernetes says of pods beyond their schema (pkg/apis/core/validation/validation.go)."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.check.verdict import check

BOX: dict[str, Any] = {
    "name": "box",
    "image": "a:1",
    "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}],
    "env": [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    "resources": {
        "requests": {"cpu": 0.5, "memory": "1Gi", "nvidia.com/gpu": 1},
        "limits": {"cpu": "500m", "memory": "1024Mi", "nvidia.com/gpu": "1"},
    },
    "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 0, "successThreshold": 2},
    "livenessProbe": {"tcpSocket": {"port": 81}, "successThreshold": 1},
    "volumeMounts": [{"name": "data", "mountPath": "/d"}],
    "imagePullPolicy": "IfNotPresent",
}
POD: dict[str, Any] = {
    "containers": [BOX],
    "initContainers": [{"name": "first", "image": "a:1"}],
    "volumes": [{"name": "data", "emptyDir": {}}],
    "tolerations": [
        {"operator": "Exists"},
        {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 3},
    ],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
}


def changed(path: str, new: Any) -> dict[str, Any]:
    """The pod with another value at a path; None takes it out."""
    pod = copy.deepcopy(POD)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    part: Any = pod
    for step in steps:
        part = part[step] if isinstance(step, int) else part.setdefault(step, {})
    if isinstance(part, list) and last == len(part):
        part.append(new)
    elif new is None:
        del part[last]
    else:
        part[last] = new
    return pod


def found(folder: Path, **document: Any) -> list[tuple[str, str]]:
    (folder / "a.json").write_text(json.dumps({"metadata": {"name": "a"}, **document}))
    return [(one.place, one.what) for one in check(folder / "a.json", None) if one.severity == "error"]


def deployment(pod: dict[str, Any], **labels: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "a", **labels}}, "spec": pod}
    return {"selector": {"matchLabels": {"app": "a"}}, "template": template}


WHEN = "requiredDuringSchedulingIgnoredDuringExecution"
TERMS = f"{WHEN}.nodeSelectorTerms[0].matchExpressions[0].operator"


def affinity(kind: str, selector: str, operator: str) -> dict[str, Any]:
    """To what has a key, by a node's terms or by a pod's labels."""
    asked = {"matchExpressions": [{"key": "a", "operator": operator}]}
    if kind == "nodeAffinity":
        return {kind: {WHEN: {selector: [asked]}}}
    return {kind: {WHEN: [{"topologyKey": "a", selector: asked}]}}


WRONG = [
    ("containers.0.name", "Box", "name", "no DNS label"),
    ("containers.0.image", None, "", "no image"),
    ("containers.0.image", "a:1 ", "image", "space"),
    ("containers.0.imagePullPolicy", "Sometimes", "imagePullPolicy", "none of Always"),
    ("containers.0.ports.0.containerPort", 82650, "ports[0].containerPort", "no port"),
    ("containers.0.ports.0.containerPort", 0, "ports[0].containerPort", "no port"),
    ("containers.0.ports.0.name", "Http_1", "ports[0].name", "no name of a port"),
    ("containers.0.ports.1.name", "a-name-that-is-too-long", "ports[1].name", "no name of a port"),
    ("containers.0.ports.1.name", "80", "ports[1].name", "no name of a port"),
    ("containers.0.ports.1.name", "http", "ports[1].name", "came before"),
    ("containers.0.ports.1.protocol", "udp", "ports[1].protocol", "none of TCP"),
    ("containers.0.env.0.name", "A=B", "env[0].name", "'='"),
    ("containers.0.env.1.value", "x", "env[1].valueFrom", "one or the other"),
    ("containers.0.resources.requests.cpu", 2, "resources.requests.cpu", "more than the limit, 500m"),
    ("containers.0.resources.requests.memory", "2Gi", "resources.requests.memory", "more than the"),
    ("containers.0.resources.limits.cpu", "-1", "resources.limits.cpu", "negative"),
    ("containers.0.resources.limits", {}, "resources.requests.nvidia.com/gpu", "must be the same"),
    ("containers.0.resources.limits.a/b", "0.5", "resources.limits.a/b", "whole numbers"),
    ("containers.0.readinessProbe.exec", {"command": ["a"]}, "readinessProbe", "exec and httpGet"),
    ("containers.0.startupProbe", {"periodSeconds": 1}, "startupProbe", "none of them"),
    ("containers.0.startupProbe", {}, "startupProbe", "none of them"),
    ("containers.0.livenessProbe.successThreshold", 2, "livenessProbe.successThreshold", "1 alone"),
    ("containers.0.livenessProbe.tcpSocket.port", 0, "livenessProbe.tcpSocket.port", "no port"),
    ("containers.0.livenessProbe.timeoutSeconds", -1, "livenessProbe.timeoutSeconds", "negative"),
    ("containers.0.readinessProbe.httpGet.port", "web", "readinessProbe.httpGet.port", "no port 'web'"),
    ("containers.0.volumeMounts.0.name", "dta", "volumeMounts[0].name", "no volume 'dta'"),
    ("containers.0.volumeMounts.0.mountPath", "", "volumeMounts[0].mountPath", "empty path"),
    (
        "containers.0.env.1.valueFrom.fieldRef.fieldPath",
        "status.x",
        "env[1].valueFrom.fieldRef.fieldPath",
        "no field",
    ),
    (
        "containers.0.env.1.valueFrom.secretKeyRef",
        {"name": "a", "key": "b"},
        "env[1].valueFrom",
        "one source, not fieldRef and secretKeyRef",
    ),
]
OF_THE_POD = [
    ("initContainers.0.name", "box", "containers[0].name", "another 'box'"),
    ("volumes.1", {"name": "data", "emptyDir": {}}, "volumes[1].name", "another 'data'"),
    ("volumes.1", {"name": "A_b", "emptyDir": {}}, "volumes[1].name", "no DNS label"),
    ("volumes.0.hostPath", {"path": "/a"}, "volumes[0]", "of one type, here are emptyDir and hostPath"),
    ("affinity", affinity("nodeAffinity", "nodeSelectorTerms", "Is"), f"affinity.nodeAffinity.{TERMS}",
     "none of In"),
    ("affinity", affinity("podAffinity", "labelSelector", "Gt"),
     f"affinity.podAffinity.{WHEN}[0].labelSelector.matchExpressions[0].operator", "none of In"),
    ("restartPolicy", "always", "restartPolicy", "none of Always"),
    ("dnsPolicy", "Cluster", "dnsPolicy", "none of ClusterFirst"),
    ("securityContext.seccompProfile.type", "Runtime", "securityContext.seccompProfile.type", "none of"),
    ("tolerations.0.effect", "NoSched", "tolerations[0].effect", "none of NoSchedule"),
    ("tolerations.0.operator", "Equal", "tolerations[0].operator", "must be Exists"),
    ("tolerations.0.value", "x", "tolerations[0].value", "takes no value"),
    ("tolerations.0.tolerationSeconds", 3, "tolerations[0].effect", "NoExecute"),
    ("topologySpreadConstraints.0.maxSkew", 0, "topologySpreadConstraints[0].maxSkew", "not above 0"),
    ("topologySpreadConstraints.0.whenUnsatisfiable", "Schedule",
     "topologySpreadConstraints[0].whenUnsatisfiable", "none of DoNotSchedule"),
]  # fmt: skip
ALL = [
    *((path, new, f"containers[0].{place}".rstrip("."), says) for path, new, place, says in WRONG),
    *OF_THE_POD,
]


def test_a_pod_that_is_right(tmp_path: Path) -> None:
    near = affinity("podAntiAffinity", "labelSelector", "NotIn") | affinity(
        "nodeAffinity", "nodeSelectorTerms", "Gt"
    )
    assert found(tmp_path, apiVersion="v1", kind="Pod", spec=POD | {"affinity": near}) == []
    assert found(tmp_path, apiVersion="v1", kind="Pod", spec=POD) == []
    assert found(tmp_path, apiVersion="apps/v1", kind="Deployment", spec=deployment(POD)) == []


@pytest.mark.parametrize(("path", "new", "place", "says"), ALL)
def test_a_pod_that_is_wrong(tmp_path: Path, path: str, new: Any, place: str, says: str) -> None:
    ((where, what), *_) = found(tmp_path, apiVersion="v1", kind="Pod", spec=changed(path, new))
    assert where == f"spec.{place}"
    assert says in what


@pytest.mark.parametrize("kind", ["RayCluster", "RayService", "RayJob"])
def test_the_pods_of_a_ray_cluster(tmp_path: Path, kind: str) -> None:
    template = {"metadata": {"labels": {"a": "b c"}}, "spec": changed(*ALL[4][:2])}
    spec: dict[str, Any] = {"headGroupSpec": {"rayStartParams": {}, "template": template}}
    at = {"RayCluster": (), "RayService": ("rayClusterConfig",), "RayJob": ("rayClusterSpec",)}[kind]
    whole = {at[0]: spec} if at else spec
    said = dict(found(tmp_path, apiVersion="ray.io/v1", kind=kind, spec=whole))
    before = ".".join(("spec", *at, "headGroupSpec.template"))
    assert "no port" in said[f"{before}.spec.containers[0].ports[0].containerPort"]
    assert "does not match" in said[f"{before}.metadata.labels.a"]


def test_volumes_and_services_of_the_operators(tmp_path: Path) -> None:
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("ray-logs", "nowhere")]
    pod = {"containers": [{"name": "a", "image": "a:1", "volumeMounts": mounts}]}
    head = {"rayStartParams": {}, "template": {"spec": pod}, "headService": {"spec": {"type": "LB"}}}
    said = dict(found(tmp_path, apiVersion="ray.io/v1", kind="RayCluster", spec={"headGroupSpec": head}))
    at = "spec.headGroupSpec.template.spec.containers[0].volumeMounts[1].name"
    assert said == {
        at: "the pod has no volume 'nowhere'",
        "spec.headGroupSpec.headService.spec.type": "'LB' is none of ClusterIP, NodePort, LoadBalancer, "
        "ExternalName",
    }


def test_what_kserve_puts_in_is_not_missed(tmp_path: Path) -> None:
    """The runtime brings image and volumes, the webhook a probe's handler."""
    box = {"name": "kserve-container", "readinessProbe": {"periodSeconds": 3}}
    box |= {"volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/mnt"}]}
    head = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    assert found(tmp_path, **head, spec={"predictor": {"containers": [box]}}) == []
    bad = {**box, "ports": [{"containerPort": 70000}]}
    ((place, _),) = found(tmp_path, **head, spec={"predictor": {"containers": [bad]}})
    assert place == "spec.predictor.containers[0].ports[0].containerPort"


@pytest.mark.parametrize(
    ("kind", "more", "place"),
    [
        ("Deployment", {"selector": {"matchLabels": {"app": "b"}}}, "spec.selector.matchLabels.app"),
        ("Deployment", {"template": {"metadata": {"labels": {"app": "a"}},
                                     "spec": POD | {"restartPolicy": "Never"}}},
         "spec.template.spec.restartPolicy"),
        ("StatefulSet", {"serviceName": "a"}, ""),
        ("StatefulSet", {"serviceName": "a", "volumeClaimTemplates": [{"metadata": {"name": "more"}}],
                         "template": {"metadata": {"labels": {"app": "a"}},
                                      "spec": changed("containers.0.volumeMounts.0.name", "more")}}, ""),
    ],
)  # fmt: skip
def test_what_makes_pods(tmp_path: Path, kind: str, more: dict[str, Any], place: str) -> None:
    said = found(tmp_path, apiVersion="apps/v1", kind=kind, spec=deployment(POD) | more)
    assert [where for where, _ in said] == ([place] if place else [])


@pytest.mark.parametrize(("policy", "right"), [(None, False), ("Always", False), ("Never", True)])
def test_a_job_ends(tmp_path: Path, policy: str | None, right: bool) -> None:
    pod = POD | ({"restartPolicy": policy} if policy else {})
    spec = {"template": {"spec": pod}}
    assert (found(tmp_path, apiVersion="batch/v1", kind="Job", spec=spec) == []) == right
    cron = {"schedule": "* * * * *", "jobTemplate": {"spec": spec}}
    assert (found(tmp_path, apiVersion="batch/v1", kind="CronJob", spec=cron) == []) == right


@pytest.mark.parametrize(
    ("ports", "place"),
    [
        ([{"port": 80}], ""),
        ([{"name": "a", "port": 80}, {"name": "b", "port": 81, "targetPort": "b"}], ""),
        ([{"port": 80}, {"name": "b", "port": 81}], "spec.ports[0]"),
        ([{"name": "a", "port": 80}, {"name": "a", "port": 81}], "spec.ports[1].name"),
        ([{"port": 0}], "spec.ports[0].port"),
        ([{"port": 80, "targetPort": 65536}], "spec.ports[0].targetPort"),
        ([{"port": 80, "protocol": "tcp"}], "spec.ports[0].protocol"),
    ],
)
def test_a_service(tmp_path: Path, ports: list[dict[str, Any]], place: str) -> None:
    said = found(tmp_path, apiVersion="v1", kind="Service", spec={"ports": ports})
    assert [where for where, _ in said] == ([place] if place else [])
