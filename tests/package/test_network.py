"""Who reaches what, as the base's network policies have it. A pod is its labels and its namespace's."""

from pathlib import Path
from typing import Any

import pytest

from serve_app.tools.kube.sources import documents
from tests.package.crd import ROOT

BASE = ROOT / "configs" / "k8s" / "base"
STORE = ROOT / "configs" / "k8s" / "components" / "store"
OURS = {"kubernetes.io/metadata.name": "tandem"}


class Pod:
    """At an address, in a namespace with labels."""

    def __init__(
        self, labels: dict[str, str], space: dict[str, str] = OURS, ip: str = "10.1.1.1"
    ) -> None:
        self.labels, self.space, self.ip = labels, space, ip


HEAD = Pod({"app": "tandem", "tandem-node": "head"})
WORKER = Pod({"app": "tandem", "tandem-node": "worker"})
REDIS = Pod({"app": "tandem-redis"})
OPERATOR = {"app.kubernetes.io/name": "kuberay-operator"}
KUBERAY = {"kubernetes.io/metadata.name": "kuberay-system"}
DNS = Pod({"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})
API, METADATA, WEB = (Pod({}, {}, ip) for ip in ("203.0.113.7", "169.254.169.254", "198.51.100.9"))
ELSEWHERE = {"kubernetes.io/metadata.name": "default"}


def policies(*folders: Path) -> list[dict[str, Any]]:
    found = [one for folder in (BASE, *folders) for one in documents(folder)]
    policies = [one.data for one in found if one.kind == "NetworkPolicy"]
    assert {one["metadata"].get("namespace") for one in policies} == {"tandem"}
    return [one["spec"] for one in policies]


def fits(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def peer(one: dict[str, Any], pod: Pod) -> bool:
    if block := one.get("ipBlock"):
        assert block == {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}
        return not pod.ip.startswith("169.254.")
    space = one.get("namespaceSelector")
    there = pod.space == OURS if space is None else fits(space, pod.space)
    return there and fits(one.get("podSelector", {}), pod.labels)


def allowed(pod: Pod, other: Pod, port: int, way: str, *folders: Path) -> bool:
    """Whether what holds for `pod` lets traffic from or to `other` pass."""
    if pod.space != OURS:
        return True
    mine = [
        one
        for one in policies(*folders)
        if fits(one["podSelector"], pod.labels) and way in one.get("policyTypes", ["Ingress"])
    ]
    key, whom = ("ingress", "from") if way == "Ingress" else ("egress", "to")
    return not mine or any(
        any(peer(one, other) for one in rule[whom])
        and ("ports" not in rule or port in [one["port"] for one in rule["ports"]])
        for policy in mine
        for rule in policy.get(key, [])
    )


def passes(source: Pod, target: Pod, port: int, *folders: Path) -> bool:
    out = allowed(source, target, port, "Egress", *folders)
    return out and allowed(target, source, port, "Ingress", *folders)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (HEAD, WORKER, 12345), (WORKER, HEAD, 6379), (WORKER, WORKER, 20001),
        (Pod(OPERATOR, KUBERAY), HEAD, 8265), (Pod(OPERATOR, KUBERAY), WORKER, 8000),
        (Pod({}, {"tandem-client": "true"}), WORKER, 9000),
        (Pod({"tandem-client": "true"}), WORKER, 8000),
        (Pod({}, {"kubernetes.io/metadata.name": "monitoring"}), HEAD, 8080),
        (HEAD, REDIS, 6379), (Pod({**HEAD.labels, "ray.io/node-type": "redis-cleanup"}), REDIS, 6379),
        (HEAD, DNS, 53), (WORKER, DNS, 53), (HEAD, API, 443), (HEAD, API, 6443),
    ],
)  # fmt: skip
def test_what_is_needed_passes(source: Pod, target: Pod, port: int) -> None:
    assert passes(source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        # anybody can give a pod the operator's label
        (Pod(OPERATOR, ELSEWHERE), HEAD, 8265), (Pod(OPERATOR), HEAD, 8265),
        (Pod({}, KUBERAY), HEAD, 8265),
        (Pod(OPERATOR, KUBERAY), HEAD, 6379), (Pod({}, {"tandem-client": "true"}), HEAD, 8265),
        (Pod({}, ELSEWHERE), WORKER, 8000), (Pod({}), WORKER, 8000),
        (WORKER, REDIS, 6379), (Pod({}), REDIS, 6379),
        (Pod({"app.kubernetes.io/name": "kuberay"}), REDIS, 6379),
        # a model's code sends nothing out
        (WORKER, WEB, 443), (WORKER, API, 6443), (WORKER, METADATA, 80), (HEAD, METADATA, 443),
        (HEAD, WEB, 80), (REDIS, WEB, 443), (Pod({}), WEB, 443), (WORKER, Pod({}, ELSEWHERE), 8080),
    ],
)  # fmt: skip
def test_what_is_not_does_not(source: Pod, target: Pod, port: int) -> None:
    assert not passes(source, target, port)


MINIO = Pod({"app": "minio"}, {"kubernetes.io/metadata.name": "minio", "tandem-store": "true"})


@pytest.mark.parametrize(
    ("source", "target", "port", "with_store"),
    [
        (WORKER, WEB, 443, True), (WORKER, MINIO, 9000, True), (HEAD, MINIO, 9000, True),
        (WORKER, WEB, 80, False), (WORKER, METADATA, 80, False), (WORKER, METADATA, 443, False),
        (WORKER, Pod({"app": "minio"}, ELSEWHERE), 9000, False), (REDIS, WEB, 443, False),
        (Pod({}), MINIO, 9000, False), (MINIO, WORKER, 8000, False), (WORKER, REDIS, 6379, False),
    ],
)  # fmt: skip
def test_with_the_component_of_stores(source: Pod, target: Pod, port: int, with_store: bool) -> None:
    """Models' code reaches stores, and nothing else more."""
    assert passes(source, target, port, STORE) == with_store
    assert not passes(source, target, port)
