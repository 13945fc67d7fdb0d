"""What is wrong with the documents that a path stands for."""

from collections.abc import Iterator
from pathlib import Path

from serve_app.tools.check import (
    config_in_pods,
    demand,
    fit_together,
    kserve,
    kuberay,
    kuberay_cluster,
    kubernetes_schemas,
    pods,
)
from serve_app.tools.check.crds import Crds
from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Finding
from serve_app.tools.kube.ray_cluster import RayCluster
from serve_app.tools.kube.sources import documents

CRDS = "TANDEM_CRDS"


def check(path: Path, crds: Crds | None) -> Iterator[Finding]:
    """What is wrong with a file, a folder's build, or `-`, the standard input."""
    found = list(documents(path))
    unknown: set[str] = set()
    for one in found:
        unknown |= set(_check(one, crds))
    fit_together.check(found)
    for one in found:
        yield from one.report.findings()
    if unknown:
        extra = "; Kubernetes' own: pip install 'tandem-serve[check]'"
        yield Finding(
            str(path), 1, "", "(top)", f"not held against a schema: {', '.join(sorted(unknown))}",
            "the API server knows more than the rules here",
            f"`kubectl get crd -o yaml > crds/all.yaml`, and --crds crds (or {CRDS})"
            + ("" if kubernetes_schemas.installed() else extra),
            "note",
        )  # fmt: skip


def _check(one: Document, crds: Crds | None) -> Iterator[str]:
    """Note what is wrong with one document; the kinds that no schema was there for."""
    if not one.kind:
        check_serve_config(one.data, one.report)
        return
    if kubernetes_schemas.is_builtin(one) and kubernetes_schemas.installed():
        one.report.extend(kubernetes_schemas.check(one))
    elif crds is not None and crds.find(one.group, one.kind):
        one.report.extend(crds.check(one))
    else:
        yield f"{one.data['apiVersion']} {one.kind}"
    one.report.extend(kserve.check(one))
    cluster = RayCluster.of(one.data)
    config_in_pods.check(one, cluster)
    if cluster:
        for rules in (kuberay_cluster, kuberay, pods, demand):
            one.report.extend(rules.check(one, cluster))
