"""Disruption budgets of a Ray cluster: which ones Kubernetes understands, and which let a drain end."""

from collections.abc import Iterator, Sequence
from typing import Any

from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.ray_cluster import Group, RayCluster


def ray_pods(documents: Sequence[Document]) -> Iterator[tuple[dict[str, Any], Group]]:
    """The labels of every kind of a Ray cluster's pods, and its group."""
    for one in documents:
        if cluster := RayCluster.of(one.data):
            for group in cluster.groups:
                labels = group.mapping("template", "metadata", "labels")
                kind = "head" if group.head else "worker"
                own = {"ray.io/is-ray-node": "yes", "ray.io/node-type": kind} | labels
                yield own, group


def budget(one: Document, pods: list[tuple[dict[str, Any], Group]]) -> Iterator[Problem]:
    """Of pods whose controller has no scale subresource, only a whole minAvailable is understood."""
    labels = get(one.data, "spec", "selector", "matchLabels")
    if not isinstance(labels, dict) or not labels:
        return
    selected = [group for own, group in pods if labels.items() <= own.items()]
    if not selected:
        return
    for name in ("maxUnavailable", "minAvailable"):
        value = get(one.data, "spec", name)
        if value is not None and (name == "maxUnavailable" or not isinstance(value, int)):
            yield Problem(
                ("spec", name),
                f"{name}: {value} needs a scale subresource, which a RayCluster has not",
                "Kubernetes then allows no eviction at all, and draining a machine never ends",
                "minAvailable, a whole number",
            )
    least, keep = sum(group.least for group in selected), get(one.data, "spec", "minAvailable")
    if isinstance(keep, int) and keep >= least:
        yield Problem(
            ("spec", "minAvailable"),
            f"{keep} of the {least:g} pods that there are at least must stay",
            "draining a machine waits for ever while there are no more",
            f"at most {max(least - 1, 0):g}",
            "warning",
        )
