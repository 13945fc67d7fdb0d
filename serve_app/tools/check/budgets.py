"""Disruption budgets of a Ray cluster: which ones Kubernetes understands, and which let a drain end."""

from collections.abc import Iterator, Sequence
from typing import Any

from serve_app.tools.check import rules as the
from serve_app.tools.check.rules import Resource, Rule, Table
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.part import Looks
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


def table(pods: list[tuple[dict[str, Any], Group]]) -> Table:
    """Of pods whose controller has no scale subresource, only a whole minAvailable is understood."""

    def selected(budget: Looks) -> list[Group]:
        labels = budget.mapping("selector", "matchLabels")
        return [group for own, group in pods if labels and labels.items() <= own.items()]

    def scaled(key: str, fits: tuple[type, ...]) -> Rule:
        return Rule(key, lambda b, _: not isinstance(b.get(key), (type(None), *fits)) and selected(b),
                    f"{key}: {{{key}}} needs a scale subresource, which a RayCluster has not",
                    "minAvailable, a whole number",
                    "Kubernetes then allows no eviction at all, and draining a machine never ends"
                    )  # fmt: skip

    def too_many(budget: Looks, _: Resource) -> str:
        some, keep = selected(budget), budget.get("minAvailable")
        least = sum(group.least for group in some)
        too = some and isinstance(keep, int) and keep >= least
        return f"{keep} of the {least:g} pods that there are at least must stay" if too else ""

    return (
        (the.below(the.kind("PodDisruptionBudget"), "spec"), "", (
            scaled("maxUnavailable", ()),
            scaled("minAvailable", (int,)),
            Rule("minAvailable", too_many, "{}", "fewer than these",
                 "draining a machine waits for ever while there are no more", "warning"),
        )),
    )  # fmt: skip
