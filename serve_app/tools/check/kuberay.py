"""What the operator refuses in a resource's name and in a RayService's own fields (KubeRay 1.7:
ValidateRayServiceSpec and the Validate…Metadata of each kind)."""

import re

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


def _too_long(one: Looks, ray: Resource) -> str:
    length, longest = len(ray.document.name), _LONGEST.get(ray.kind, 63)
    return f"{length} characters, at most {longest} are allowed" if length > longest else ""


def _no_timeout(one: Looks, ray: Resource) -> bool:
    text = ray.note(_TIMEOUT) if ray.kind == "RayService" else ""
    return bool(text) and not (schedules.positive(text) or re.fullmatch(r"\+?0*[1-9]\d*", text))


def _required(key: str) -> Rule:
    return Rule(_OPTIONS, lambda u, _: u.mapping(_OPTIONS) and u.get(_OPTIONS, key) in (None, ""),
                f"'{key}' is required for an incremental upgrade")  # fmt: skip


def _too_far(upgrade: Looks, ray: Resource) -> str:
    options = Part((), {"maxSurgePercent": 100, **upgrade.mapping(_OPTIONS)})
    step, surge = options.number("stepSizePercent"), options.number("maxSurgePercent")
    far = step is not None and surge is not None and step > surge
    return f"{step} is more than maxSurgePercent {surge}" if far else ""


_incremental = the.where(the.below(the.of("RayService"), "upgradeStrategy"),
                         lambda r: r.spec.get("upgradeStrategy", "type") == INCREMENTAL)  # fmt: skip
_METADATA = (
    Rule("metadata name", _too_long),
    the.like("metadata name", "[a-z]([-a-z0-9]*[a-z0-9])?",
             "'{}' is no DNS-1035 label: a-z, 0-9 and '-', a letter first"),
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
    Rule(f"{_OPTIONS} stepSizePercent", _too_far),
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
