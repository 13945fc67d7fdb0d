"""What the operator refuses in a resource's name and in a RayService's own fields (KubeRay 1.7:
ValidateRayServiceSpec and the Validate…Metadata of each kind)."""

import re
from collections.abc import Iterable
from typing import Any

from serve_app.tools.check import rules as the
from serve_app.tools.check import schedules
from serve_app.tools.check.rules import Resource, Rule, Table
from serve_app.tools.kube.documents import CONFIG
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.ray_service import INCREMENTAL, STRATEGIES

# What the operator puts behind it must still be the name of a service (63 characters).
_LONGEST = {"RayCluster": 53, "RayService": 47, "RayJob": 47, "RayCronJob": 36}
_TIMEOUT = "ray.io/initializing-timeout"
_OPTIONS = "clusterUpgradeOptions"
_WITHOUT_EFFECT = {
    "serviceUnhealthySecondThreshold": f"the annotation {_TIMEOUT}",
    "deploymentUnhealthySecondThreshold": "the health check of each deployment in Serve",
}


def _too_long(one: Looks, ray: Resource) -> Any:
    longest = _LONGEST.get(ray.kind, 63)
    name = ray.document.name
    return len(name) > longest and f"{len(name)} characters, at most {longest} are allowed"


def _no_label(one: Looks, ray: Resource) -> Any:
    name = ray.document.name
    return not re.fullmatch(r"([a-z]([-a-z0-9]*[a-z0-9])?)?", name) and name


def _no_timeout(one: Looks, ray: Resource) -> Any:
    text = ray.note(_TIMEOUT) if ray.kind == "RayService" else ""
    return text and not schedules.positive(text) and not re.fullmatch(r"\+?0*[1-9]\d*", text) and text


def _incremental(ray: Resource) -> Iterable[Looks]:
    found = ray.spec.at("upgradeStrategy")
    return [found] if ray.kind == "RayService" and found.get("type") == INCREMENTAL else []


def _required(key: str) -> Rule:
    def broken(upgrade: Looks, ray: Resource) -> bool:
        return bool(upgrade.mapping(_OPTIONS)) and upgrade.get(_OPTIONS, key) in (None, "")

    return Rule(_OPTIONS, broken, f"'{key}' is required for an incremental upgrade")


def _too_far(upgrade: Looks, ray: Resource) -> str:
    options = {"maxSurgePercent": 100, **upgrade.mapping(_OPTIONS)}
    step, surge = (Part((), options).number(key) for key in ("stepSizePercent", "maxSurgePercent"))
    over = step is not None and surge is not None and step > surge
    return f"{step} is more than maxSurgePercent {surge}" if over else ""


_METADATA = (
    Rule("metadata name", _too_long, "{}"),
    Rule("metadata name", _no_label, "'{}' is no DNS-1035 label: a-z, 0-9 and '-', a letter first"),
    Rule(f"metadata annotations {_TIMEOUT}", _no_timeout,
         "'{}' is neither a duration (30m) nor seconds"),
    Rule("apiVersion", lambda d, _: d.get("apiVersion") == "ray.io/v1alpha1",
         "ray.io/v1alpha1 goes away in KubeRay 1.9", "apiVersion: ray.io/v1", "", "warning"),
)  # fmt: skip
_SERVICE = (
    the.at_least("rayClusterDeletionDelaySeconds", 0),
    *(Rule(key, the.is_set(key), f"without effect; it is {now} now", "leave it out", "", "warning")
      for key, now in _WITHOUT_EFFECT.items()),
    Rule("", lambda s, _: s.get(CONFIG) is None, "no serveConfigV2",
         why="there is nothing to serve: a RayCluster would do"),
    the.unwanted("rayClusterConfig headGroupSpec headService metadata name",
             "the head service's name is the operator's"),
    the.one_of("upgradeStrategy type", *STRATEGIES),
)  # fmt: skip
_UPGRADE = (
    Rule("type", lambda _, r: not r.cluster.autoscaled,
         "an incremental upgrade needs enableInTreeAutoscaling: true",
         "rayClusterConfig: {enableInTreeAutoscaling: true}"),
    Rule("", lambda u, _: not u.mapping(_OPTIONS), f"an incremental upgrade needs {_OPTIONS}"),
    *map(_required, ("gatewayClassName", "stepSizePercent", "intervalSeconds")),
    *(the.between(f"{_OPTIONS} {key}", 0, 100, "{} is not between 0 and 100")
      for key in ("stepSizePercent", "maxSurgePercent")),
    Rule(f"{_OPTIONS} stepSizePercent", _too_far, "{}"),
    the.at_least(f"{_OPTIONS} intervalSeconds", 1),
    Rule("type", lambda _, r: "serve-grpc" in r.cluster.head.ports,
         "the operator's gateway routes HTTP alone: gRPC on `serve-grpc` is not moved step by step",
         why="gRPC clients need a GRPCRoute of your own", severity="warning"),
)  # fmt: skip
TABLE: Table = (
    (the.kind(*_LONGEST), the.refused("Validate…Metadata"), _METADATA),
    (the.of("RayService"), the.refused("ValidateRayServiceSpec"), _SERVICE),
    (_incremental, the.refused("ValidateClusterUpgradeOptions"), _UPGRADE),
)
