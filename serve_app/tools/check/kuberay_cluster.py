"""What KubeRay's operator refuses in a cluster (1.7: ValidateRayClusterSpec and what it calls)."""

import json
import re
from collections.abc import Iterator

from serve_app.config import did_you_mean
from serve_app.internals import ray_start
from serve_app.tools.check import rules as the
from serve_app.tools.check.rules import Resource, Rule, Table, When
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.part import Looks
from serve_app.tools.kube.ray_cluster import FAULT_TOLERANCE, Group

_V2 = "RAY_enable_autoscaler_v2"
_NAMED_V2 = "autoscalerOptions: {version: v2}"
_PREFIX = r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_OF_PODS = r"[A-Za-z0-9]([-A-Za-z0-9.]{0,61}[A-Za-z0-9])?"
_SIZES = ("num-cpus", "num-gpus", "memory", "resources")
# Options of `ray start` that take a whole number.
_WHOLE = (
    "num-cpus", "num-gpus", "memory", "object-store-memory", "port", "dashboard-port",
    "ray-client-server-port", "object-manager-port", "node-manager-port", "min-worker-port",
    "max-worker-port", "metrics-export-port", "dashboard-agent-listen-port",
)  # fmt: skip
_USUAL = (*_WHOLE, "resources", "dashboard-host", "block", "no-monitor")
_MAKER = ("metadata", "labels", "ray.io/originated-from-crd")
_NO_START = "`ray start` ends with an error"
_USER = f"{FAULT_TOLERANCE}.redisUsername"


def _options(group: Group, _: Resource) -> Iterator[Problem]:
    """A pod's Ray may be another than this one: what this one doesn't know is a warning."""
    for name in group.params:
        if name not in _USUAL and name not in (known := ray_start.options()):
            hint = did_you_mean(name, known)
            what = f"`ray start` has no --{name}{'' if '; known' in hint else hint}"
            place = (*group.place, "rayStartParams", name)
            yield Problem(place, what, _NO_START, severity="warning")


def _tolerant(ray: Resource) -> bool:
    return ray.cluster.fault_tolerance is not None


def _version(ray: Resource) -> str:
    return ray.cluster.text("autoscalerOptions", "version")


def _v2(ray: Resource) -> bool:
    """Whether groups may have what only the newer autoscaler reads."""
    return _version(ray) == "v2" or ray.cluster.head.env.get(_V2) in ("1", "true")


def _restarts(version: str) -> When:
    """Otherwise than never, with this autoscaler."""

    def broken(group: Looks, ray: Resource) -> bool:
        policy = group.text("template", "spec", "restartPolicy")
        return ray.cluster.autoscaled and _version(ray) == version and policy not in ("", "Never")

    return broken


def _bad_label(label: Looks, ray: Resource) -> str:
    key, value = str(label.place[-1]), str(label.data)
    if not re.fullmatch(_PREFIX + _LABEL, key) or len(key.rpartition("/")[0]) > 253:
        return f"the name '{key}'"
    return "" if not value or re.fullmatch(_LABEL, value) else f"the value '{value}'"


def _number(key: str) -> Rule:
    def broken(group: Group, ray: Resource) -> str:
        value = group.params.get(key, "")
        return "" if "$" in value or re.fullmatch(r"(-?\d+)?", value) else value

    return Rule(f"rayStartParams {key}", broken, f"{key} is '{{}}', not a whole number", why=_NO_START)


def _no_resources(group: Group, ray: Resource) -> str:
    text = group.params.get("resources", "")
    if not text or "$" in text:
        return ""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    numbers = isinstance(found, dict) and all(isinstance(one, int | float) for one in found.values())
    return "" if numbers else text


def _outside(group: Group, ray: Resource) -> str:
    count, least, most = group.number("replicas"), group.least, group.most
    wrong = count is not None and least <= most and not least <= count <= most
    return f"{count} is not between minReplicas {least} and maxReplicas {most:g}" if wrong else ""


_GROUP = (
    Rule("template spec", lambda g, _: not g.items("template", "spec", "containers"),
         "a group needs a container"),
    Rule("resources", lambda g, _: g.mapping("resources") and any(map(g.params.get, _SIZES)),
         "resources here and in rayStartParams", "in one of the two"),
    the.unwanted("rayStartParams labels", "labels in rayStartParams", "the group's `labels`"),
    *map(_number, _WHOLE),
    Rule("rayStartParams resources", _no_resources, "{} is no JSON object of numbers",
         """resources: '{"name": 1}'""", _NO_START),
)  # fmt: skip
_CLUSTER = (
    the.unwanted("upgradeStrategy type",
             "only a RayCluster that nobody else made has an upgrade strategy",
             when=lambda _, r: (r.kind if r.kind != "RayCluster" else r.whole.text(*_MAKER))
             not in ("", "RayCluster"),
             why="the operator refuses the cluster that it makes of it"),
    the.one_of("upgradeStrategy type", "Recreate", "None"),
    the.at_least("autoscalerOptions idleTimeoutSeconds", 0),
)  # fmt: skip
_HEAD = (
    the.unwanted("env RAY_REDIS_ADDRESS", f"RAY_REDIS_ADDRESS without {FAULT_TOLERANCE}",
             f"{FAULT_TOLERANCE}.redisAddress",
             lambda _, r: not _tolerant(r) and r.note("ray.io/ft-enabled").lower() != "true"),
    the.unwanted("rayStartParams redis-password", f"beside {FAULT_TOLERANCE} it must not be set",
             f"{FAULT_TOLERANCE}.redisPassword", lambda _, r: _tolerant(r)),
    *(the.unwanted(f"env {name}", f"{name} beside {FAULT_TOLERANCE}", when=lambda _, r: _tolerant(r))
      for name in ("REDIS_PASSWORD", "RAY_REDIS_ADDRESS")),
    *(the.unwanted(at, "the operator takes no user of Redis from here", _USER)
      for at in ("rayStartParams redis-username", "env REDIS_USERNAME")),
    Rule(f"env {_V2}", lambda h, r: not r.cluster.autoscaled and h.env.get(_V2) in ("1", "true"),
         f"{_V2} without enableInTreeAutoscaling", "enableInTreeAutoscaling: true"),
    the.unwanted(f"env {_V2}", f"{_V2} beside autoscalerOptions.version",
             when=lambda h, r: r.cluster.autoscaled and _version(r)),
    Rule("template spec restartPolicy", _restarts("v2"), "'{}': the autoscaler v2 needs Never",
         "leave it out"),
)  # fmt: skip
_WORKER = (
    the.at_least("minReplicas", 0),
    the.at_least("maxReplicas", 0),
    Rule("minReplicas",
         lambda w, _: w.least > w.most and f"{w.least} is more than maxReplicas {w.most}", "{}"),
    Rule("replicas", _outside, why="the operator takes the nearest of the two", severity="warning"),
    the.at_least("numOfHosts", 1),
    Rule("groupName",
         lambda w, r: w.name in [one.name for one in r.cluster.workers if one.place < w.place],
         "another group of that name came before",
         why="the operator counts the pods of both for each"),
    Rule("groupName", lambda w, _: not re.fullmatch(_OF_PODS, w.name) and w.name,
         "'{}': letters, digits, '-' and '.', at most 63",
         why="pods have it in their names and labels, and none can be made"),
    Rule("template spec restartPolicy", _restarts("v2"), "'{}': the autoscaler v2 needs Never",
         "leave it out"),
    Rule("template spec restartPolicy", _restarts("v1"), "'{}': the autoscaler v1 wants Never",
         "leave it out", "the operator warns of it", "warning"),
    Rule("suspend", lambda w, r: w.get("suspend") is True and r.cluster.autoscaled,
         "a suspended group with autoscaling"),
    the.at_least("idleTimeoutSeconds", 0),
    the.unwanted("idleTimeoutSeconds", "a group's own idle time needs the autoscaler v2, named as such",
             _NAMED_V2, lambda _, r: not _v2(r)),
    Rule("priority", lambda w, r: w.number("priority") and not _v2(r),
         "a group's priority needs the autoscaler v2, named as such", _NAMED_V2),
    Rule("priority", lambda w, r: w.number("priority") and r.older(2, 56),
         "a group's priority needs a rayVersion of 2.56.0 or newer"),
)  # fmt: skip
_SPEC = "ValidateRayClusterSpec"
TABLE: Table = (
    (the.groups, the.refused(f"{_SPEC}, validateRayGroupResources"), (*_GROUP, _options)),
    (the.below(the.groups, "labels []"), the.refused("validateRayGroupLabels"), (
        Rule("", _bad_label, "{} is no label's in Kubernetes"),
    )),
    (the.clusters, the.refused(f"{_SPEC}, ValidateRayClusterUpgradeOptions"), _CLUSTER),
    (the.heads, the.refused(_SPEC), _HEAD),
    (the.workers, the.refused(f"{_SPEC}, validateWorkerGroup…"), _WORKER),
)  # fmt: skip
