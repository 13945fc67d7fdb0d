"""What must fit together between the documents of one build."""

from collections.abc import Iterator, Sequence
from typing import Any

from serve_app.config import did_you_mean
from serve_app.tools.check import rules as the
from serve_app.tools.check.rules import Resource, Rule, Table
from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.ray_cluster import Group, RayCluster

# What KubeRay puts on its pods by itself.
_OPERATORS = ("ray.io/", "app.kubernetes.io/")
_SELECTORS = (
    the.below(the.kind("PodDisruptionBudget", "PodMonitor"), "spec selector matchLabels"),
    the.below(the.kind("NetworkPolicy"), "spec podSelector matchLabels"),
)
_ROUTED = the.below(the.kind("HTTPRoute", "GRPCRoute"), "spec rules * backendRefs *")
_SCALED = the.below(the.kind("ScaledObject", "HorizontalPodAutoscaler"), "spec scaleTargetRef")
Services = dict[str, set[Any] | None]  # ports by name; None where an operator decides them


def check(documents: Sequence[Document]) -> None:
    """Note what is wrong in the documents' reports."""
    ray = [pod for one in documents for pod in _ray_pods(one)]
    pods = [labels for one in documents for labels in _pods(one)] + [labels for labels, _ in ray]
    services = {name: ports for one in documents for name, ports in _services(one)}
    table = (*_table(pods, services), *_budgets(ray))
    seen: dict[tuple[str, ...], Document] = {}
    for one in documents:
        key = (one.group, one.kind, str(get(one.data, "metadata", "namespace") or ""), one.name)
        if one.kind and one.name and (before := seen.get(key)):
            text = f"another {one.kind} '{one.name}' came before"
            same = before.report.file == one.report.file  # files of a folder may be alternatives
            one.report.add(("metadata", "name"), text, severity="error" if same else "warning")
        seen[key] = one
        one.report.extend(the.check(table, Resource.of(one)))


def _ray_pods(one: Document) -> Iterator[tuple[dict[str, Any], Group]]:
    """The labels of every kind of a Ray cluster's pods, and its group."""
    cluster = RayCluster.of(one.data)
    for group in cluster.groups if cluster else ():
        labels = group.mapping("template", "metadata", "labels")
        kind = "head" if group.head else "worker"
        yield {"ray.io/is-ray-node": "yes", "ray.io/node-type": kind} | labels, group


def _pods(one: Document) -> Iterator[dict[str, Any]]:
    """The labels of the pods that a document's template makes."""
    labels = get(one.data, "spec", "template", "metadata", "labels")
    if isinstance(labels, dict):
        yield labels


def _services(one: Document) -> Iterator[tuple[str, set[Any] | None]]:
    """Those that a document is, or that an operator makes of it."""
    spec = Part((), one.data).at("spec")
    if one.kind in ("RayService", "RayCluster"):
        named = spec.text("serveService", "metadata", "name")
        for name in (f"{one.name}-serve-svc", f"{one.name}-head-svc", *filter(None, (named,))):
            yield name, None
    elif one.kind == "Service" and not one.group:
        yield one.name, {port.number("port") for port in spec.parts("ports")}
    elif one.kind == "InferenceService":
        for part in ("", "-predictor", "-transformer", "-explainer"):
            yield one.name + part, None


def _table(pods: list[dict[str, Any]], services: Services) -> Table:
    def selected(labels: Looks, _: Resource) -> str:
        own = {key: value for key, value in labels.data.items() if not str(key).startswith(_OPERATORS)}
        lost = bool(own and pods) and not any(own.items() <= pod.items() for pod in pods)
        return ", ".join(f"{key}={value}" for key, value in own.items()) if lost else ""

    def called(backend: Looks) -> str:
        """The service, where it should be one of these."""
        ours = backend.get("kind") in (None, "Service") and not backend.get("namespace")
        return backend.text("name") if ours and services else ""

    def no_port(backend: Looks, _: Resource) -> bool:
        ports = services.get(called(backend))
        return ports is not None and backend.number("port") not in ports

    def of_ray(target: Looks, _: Resource) -> bool:
        of = target.get("apiVersion"), target.get("kind")
        return str(of[0] or "").startswith("ray.io/") or of[1] in ("RayCluster", "RayService")

    selectors = (
        Rule("ray.io/cluster", lambda labels, _: pods and "ray.io/cluster" in labels.data,
             "the name of a RayService's cluster changes with every upgrade",
             "a label of your own in the pod templates", "it selects nothing from the first one on",
             "warning"),
        Rule("", selected, "no pod here has {}", "", "it has no effect on these", "warning"),
    )  # fmt: skip
    return (
        *((parts, "", selectors) for parts in _SELECTORS),
        (_ROUTED, "requests get a 500", (
            Rule("name", lambda b, _: (name := called(b)) and name not in services
                 and f"'{name}' here{did_you_mean(name, services)}", "no service {}",
                 why="requests get a 500 where there is none of that name", severity="warning"),
            Rule("port", no_port, "service '{name}' has no port {}"),
        )),
        (_SCALED, "the object stays without effect", (
            Rule("", of_ray, "{kind} has no scale subresource: KEDA and HPA can't scale it",
                 "Serve's autoscaling_config, with enableInTreeAutoscaling for the nodes"),
        )),
    )  # fmt: skip


def _budgets(pods: list[tuple[dict[str, Any], Group]]) -> Table:
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
