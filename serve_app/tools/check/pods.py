"""The pods of a Ray cluster: ports, the modes of Ray and Serve, draining, security."""

import importlib.metadata
import re
from collections.abc import Callable, Iterator

from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.ray_cluster import Group, RayCluster

_HEAD_PORTS = {6379: "gcs", 8265: "dashboard"}
_PROXY, _MODE = "RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED"
_DRAIN, _DRAIN_S = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", 30.0
_INGRESS, _INGRESS_S = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", 30.0
_STOP_S = 20.0  # graceful_shutdown_timeout_s of a deployment
_SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|ACCESS_KEY|CREDENTIAL)", re.IGNORECASE)
Rule = Callable[[Document, RayCluster], Iterator[Problem]]


def check(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    """All rules."""
    for rule in _RULES:
        yield from rule(document, cluster)


def _versions(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    version = str(get(cluster.data, "rayVersion") or "")
    images: dict[str, Group] = {}
    for group in cluster.groups:
        image = str(group.container("image") or "")
        images.setdefault(image.removesuffix("-gpu"), group)
        tag = re.search(r"ray[^/:]*:(\d+\.\d+\.\d+)", image)
        if tag and version and tag[1] != version:
            yield Problem(
                (*group.box, "image"),
                f"Ray {tag[1]}, but rayVersion is {version}",
                "the operator writes commands for the latter",
                f"rayVersion: {tag[1]}",
            )
        if (
            image
            and (":" not in image.rpartition("/")[2] or image.endswith(":latest"))
            and "@" not in image
        ):
            yield Problem(
                (*group.box, "image"),
                f"'{image}' names no version",
                "nodes of one cluster may run different code, and no upgrade is seen",
                "a tag, or a digest",
                "warning",
            )
    if len(images) > 1:
        first, *others = images.items()
        for image, group in others:
            yield Problem(
                (*group.box, "image"),
                f"'{image}', but the {first[1].name} has '{first[0]}'",
                "Ray and Python must be the same on every node",
                severity="warning",
            )
    own = importlib.metadata.version("ray")
    ours = "serve_app." in str(get(document.data, "spec", "serveConfigV2"))
    if ours and version and version != own:
        yield Problem(
            (*cluster.place, "rayVersion"),
            f"{version}, but this Tandem is locked to Ray {own}",
            "its images hold that one",
            f"rayVersion: {own}",
        )


def _ports(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    head = cluster.head
    if head.ports:
        for port, name in _HEAD_PORTS.items():
            if port not in head.ports.values():
                yield Problem(
                    (*head.box, "ports"),
                    f"no port {port} ({name})",
                    "a port of one's own drops the operator's defaults, and with them this one",
                    f"- {{name: {name}, containerPort: {port}}}",
                )
    if document.kind == "RayService" and head.ports and "serve" not in head.ports:
        yield Problem(
            (*head.box, "ports"),
            "no port named `serve`",
            "the serve service takes over `serve` and `serve-*` alone",
            "- {name: serve, containerPort: 8000}",
        )
    host = (head.get("rayStartParams") or {}).get("dashboard-host")
    if document.kind == "RayService" and host in ("127.0.0.1", "localhost"):
        yield Problem(
            (*head.place, "rayStartParams", "dashboard-host"),
            f"{host}: the operator can't reach the dashboard",
            "it deploys serveConfigV2 through it",
            'dashboard-host: "0.0.0.0"',
        )


def _modes(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    head = cluster.head
    for group in cluster.groups:
        if group.env.get(_MODE) == "1" and group.env.get(_PROXY) != "1":
            yield Problem(
                group.env_place(_MODE),
                f"{_MODE} without {_PROXY}",
                "proxies then run on the head alone, and workers never become ready",
                f'- {{name: {_PROXY}, value: "1"}}',
            )
    for group in cluster.workers:
        names = {name for name in head.env | group.env if name.startswith("RAY_SERVE_")}
        for name in sorted(names):
            if head.env.get(name) != group.env.get(name):
                yield Problem(
                    group.env_place(name),
                    f"{name} is {_said(group, name)} here and {_said(head, name)} on the head",
                    "Serve runs on all nodes, and its parts must agree",
                    "the same `env` on head and workers (a YAML anchor)",
                )


def _said(group: Group, name: str) -> str:
    return f"'{group.env[name]}'" if name in group.env else "not set"


def _seconds(group: Group, name: str, default: float) -> float:
    try:
        return float(group.env.get(name, default))
    except (TypeError, ValueError):
        return default


def _draining(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    if document.kind != "RayService":
        return
    for group in cluster.groups:
        drain = _seconds(group, _DRAIN, _DRAIN_S)
        grace = group.get("template", "spec", "terminationGracePeriodSeconds")
        if (30 if grace is None else grace) <= drain:
            yield Problem(
                (*group.pod, "terminationGracePeriodSeconds"),
                f"{'30 by default' if grace is None else grace}, while Ray drains for {drain:g} s",
                "the kubelet kills the pod in the middle of it, with the requests in flight",
                f"terminationGracePeriodSeconds: {drain + 30:g}",
            )
        stop = max(_STOP_S, _seconds(group, _INGRESS, _INGRESS_S) + 5)
        if group.env.get(_PROXY) == "1" and drain <= stop:
            yield Problem(
                group.env_place(_DRAIN),
                f"Ray drains for {drain:g} s, and a replica takes {stop:g} s to stop",
                "so Serve stops replicas at once, before proxies have sent their clients elsewhere",
                f"{_DRAIN} above {stop:g}, or a smaller {_INGRESS}",
                "warning",
            )
        hook = group.container("lifecycle", "preStop", "exec", "command") or []
        if "ray stop" in " ".join(map(str, hook)):
            yield Problem(
                (*group.box, "lifecycle", "preStop"), "`ray stop` before the end skips the drain",
                "requests in flight are lost", "leave it out: Ray drains on SIGTERM",
            )  # fmt: skip


def _availability(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    head = cluster.head
    if document.kind == "RayService" and head.offers["num_cpus"] > 0:
        yield Problem(
            (*head.place, "rayStartParams"),
            "replicas may run on the head",
            "a busy head is an unreachable cluster",
            'num-cpus: "0"',
            "warning",
        )


def _security(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    for group in cluster.groups:
        pod, box = group.get("template", "spec", "securityContext"), group.container("securityContext")
        if not (get(pod, "runAsNonRoot") or get(box, "runAsNonRoot")):
            yield Problem(
                group.pod, "may run as root", "what breaks out of the container is root on the node",
                "securityContext: {runAsNonRoot: true, runAsUser: 1000}", "warning",
            )  # fmt: skip
        if get(box, "allowPrivilegeEscalation") is not False:
            yield Problem(
                group.box, "may gain privileges", "sudo and setuid programs work",
                "securityContext: {allowPrivilegeEscalation: false}", "warning",
            )  # fmt: skip
        for name, value in group.env.items():
            if _SECRET.search(name) and isinstance(value, str) and not name.endswith(("_PATH", "_FILE")):
                yield Problem(
                    group.env_place(name), f"{name} in plain text", "whoever reads the manifest has it",
                    "valueFrom: {secretKeyRef: {name: …, key: …}}",
                )  # fmt: skip


_RULES: tuple[Rule, ...] = (_versions, _ports, _modes, _draining, _availability, _security)
