"""What the operator refuses in a RayService's and a RayJob's own fields (KubeRay 1.7)."""

from collections.abc import Iterator
from typing import Any

from serve_app.config import did_you_mean
from serve_app.tools.kube.documents import CONFIG, Document, get
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.ray_cluster import RayCluster
from serve_app.tools.kube.ray_service import INCREMENTAL, STRATEGIES, RayService

_REFUSED = "the operator refuses the resource"
_WITHOUT_EFFECT = {
    "serviceUnhealthySecondThreshold": "the annotation ray.io/initializing-timeout",
    "deploymentUnhealthySecondThreshold": "the health check of each deployment in Serve",
}


def check(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    """All rules of the kind."""
    if document.kind == "RayService":
        service = RayService(document.data)
        yield from _service(service)
        yield from _upgrade(service, cluster)
    elif document.kind == "RayJob":
        yield from _job(document)


def _service(service: RayService) -> Iterator[Problem]:
    delay = service.deletion_delay
    if isinstance(delay, int) and delay < 0:
        yield Problem(("spec", "rayClusterDeletionDelaySeconds"), f"{delay} is negative", _REFUSED)
    for key, now in _WITHOUT_EFFECT.items():
        if service.spec(key) is not None:
            yield Problem(
                ("spec", key), f"without effect; it is {now} now", fix="leave it out", severity="warning"
            )
    if service.spec(CONFIG) is None:
        yield Problem(("spec",), "no serveConfigV2", "there is nothing to serve: a RayCluster would do")


def _upgrade(service: RayService, cluster: RayCluster) -> Iterator[Problem]:
    place: Place = ("spec", "upgradeStrategy")
    kind, options = service.strategy, service.spec("upgradeStrategy", "clusterUpgradeOptions")
    if kind is not None and kind not in STRATEGIES:
        hint = did_you_mean(str(kind), STRATEGIES)
        yield Problem((*place, "type"), f"'{kind}' is none of {', '.join(STRATEGIES)}{hint}", _REFUSED)
    if kind != INCREMENTAL:
        return
    if not cluster.autoscaled:
        yield Problem(
            (*place, "type"),
            "an incremental upgrade needs enableInTreeAutoscaling: true",
            _REFUSED,
            "rayClusterConfig: {enableInTreeAutoscaling: true}",
        )
    if not isinstance(options, dict):
        yield Problem(place, "an incremental upgrade needs clusterUpgradeOptions", _REFUSED)
        return
    yield from _options(options, (*place, "clusterUpgradeOptions"))
    ports = cluster.head.ports
    if "serve-grpc" in ports:
        yield Problem(
            (*place, "type"),
            "the operator's gateway routes HTTP alone: gRPC on `serve-grpc` is not moved step by step",
            "gRPC clients need a GRPCRoute of your own",
            severity="warning",
        )


def _options(options: dict[str, Any], place: Place) -> Iterator[Problem]:
    for key in ("gatewayClassName", "stepSizePercent", "intervalSeconds"):
        if options.get(key) is None:
            yield Problem(place, f"'{key}' is required for an incremental upgrade", _REFUSED)
    step, surge = options.get("stepSizePercent"), options.get("maxSurgePercent", 100)
    for key, value in (("stepSizePercent", step), ("maxSurgePercent", surge)):
        if isinstance(value, int) and not 0 <= value <= 100:
            yield Problem((*place, key), f"{value} is not between 0 and 100", _REFUSED)
    if isinstance(step, int) and isinstance(surge, int) and step > surge:
        yield Problem(
            (*place, "stepSizePercent"), f"{step} is more than maxSurgePercent {surge}", _REFUSED
        )
    interval = options.get("intervalSeconds")
    if isinstance(interval, int) and interval <= 0:
        yield Problem((*place, "intervalSeconds"), f"{interval} is not above 0", _REFUSED)


def _job(document: Document) -> Iterator[Problem]:
    spec = document.data.get("spec")
    ends = bool(get(spec, "shutdownAfterJobFinishes"))
    ttl = get(spec, "ttlSecondsAfterFinished")
    if isinstance(ttl, int) and ttl > 0 and not ends:
        yield Problem(
            ("spec", "ttlSecondsAfterFinished"),
            "it says when the cluster ends, and nothing says that it does",
            _REFUSED,
            "shutdownAfterJobFinishes: true",
        )
    if get(spec, "deletionStrategy", "deletionRules") and ends:
        yield Problem(
            ("spec", "shutdownAfterJobFinishes"),
            "deletionRules say it already",
            _REFUSED,
            "leave it out",
        )
