"""What must fit together between the documents of one build."""

from collections.abc import Iterator, Sequence
from typing import Any

from serve_app.config import did_you_mean
from serve_app.tools.check.budgets import budget, ray_pods
from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.part import Part

# Kind: where its selector of pods is.
_SELECTORS: dict[str, Place] = {
    "PodDisruptionBudget": ("spec", "selector"),
    "NetworkPolicy": ("spec", "podSelector"),
    "PodMonitor": ("spec", "selector"),
}
# What KubeRay puts on its pods by itself.
_OPERATORS = ("ray.io/", "app.kubernetes.io/")
_SCALABLE = "no scale subresource: KEDA and HPA can't scale it"


def check(documents: Sequence[Document]) -> None:
    """Note what is wrong in the documents' reports."""
    pods, ray = list(_pods(documents)), list(ray_pods(documents))
    services = {name: ports for one in documents for name, ports in _services(one)}
    seen: dict[tuple[str, ...], Document] = {}
    for one in documents:
        key = (one.group, one.kind, str(get(one.data, "metadata", "namespace") or ""), one.name)
        if one.kind and one.name and (before := seen.get(key)):
            text = f"another {one.kind} '{one.name}' came before"
            same = before.report.file == one.report.file  # files of a folder may be alternatives
            one.report.add(("metadata", "name"), text, severity="error" if same else "warning")
        seen[key] = one
        if place := _SELECTORS.get(one.kind):
            one.report.extend(_selects(one, place, pods))
        if one.kind == "PodDisruptionBudget":
            one.report.extend(budget(one, ray))
        if one.kind in ("HTTPRoute", "GRPCRoute") and services:
            one.report.extend(_routes(one, services))
        if one.kind in ("ScaledObject", "HorizontalPodAutoscaler"):
            one.report.extend(_scales(one))


def _pods(documents: Sequence[Document]) -> Iterator[dict[str, Any]]:
    """The labels of every kind of pod that the documents make."""
    yield from (labels for labels, _ in ray_pods(documents))
    for one in documents:
        labels = get(one.data, "spec", "template", "metadata", "labels")
        if isinstance(labels, dict):
            yield labels


def _selects(one: Document, place: Place, pods: list[dict[str, Any]]) -> Iterator[Problem]:
    labels = get(one.data, *place, "matchLabels")
    if not isinstance(labels, dict) or not labels or not pods:
        return
    own = {key: value for key, value in labels.items() if not str(key).startswith(_OPERATORS)}
    if "ray.io/cluster" in labels:
        yield Problem(
            (*place, "matchLabels", "ray.io/cluster"),
            "the name of a RayService's cluster changes with every upgrade",
            "it selects nothing from the first one on",
            "a label of your own in the pod templates",
            "warning",
        )
    if own and not any(own.items() <= pod.items() for pod in pods):
        text = ", ".join(f"{key}={value}" for key, value in own.items())
        yield Problem(
            (*place, "matchLabels"),
            f"no pod here has {text}",
            "it has no effect on these",
            severity="warning",
        )


def _services(one: Document) -> Iterator[tuple[str, set[Any] | None]]:
    """Services by name with their ports; None where an operator decides them."""
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


def _routes(one: Document, services: dict[str, set[Any] | None]) -> Iterator[Problem]:
    for rule in Part((), one.data).parts("spec", "rules"):
        for backend in rule.parts("backendRefs"):
            name, port = backend.text("name"), backend.number("port")
            if backend.get("kind") not in (None, "Service") or backend.get("namespace"):
                continue
            if name not in services:
                yield Problem(
                    (*backend.place, "name"),
                    f"no service '{name}' here{did_you_mean(name, services)}",
                    "requests get a 500 where there is none of that name",
                    severity="warning",
                )
            elif (ports := services[name]) is not None and port not in ports:
                yield Problem(
                    (*backend.place, "port"),
                    f"service '{name}' has no port {port}",
                    "requests get a 500",
                )


def _scales(one: Document) -> Iterator[Problem]:
    target = get(one.data, "spec", "scaleTargetRef")
    if str(get(target, "apiVersion") or "").startswith("ray.io/") or get(target, "kind") in (
        "RayCluster", "RayService",
    ):  # fmt: skip
        yield Problem(
            ("spec", "scaleTargetRef"),
            f"{get(target, 'kind')} has {_SCALABLE}",
            "the object stays without effect",
            "Serve's autoscaling_config, with enableInTreeAutoscaling for the nodes",
        )
