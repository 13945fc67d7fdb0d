"""A RayService manifest as the nodes that it asks for, with what KubeRay's operator adds to them."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from serve_app.errors import ConfigError
from serve_app.tools.kserve import both_ways
from serve_app.tools.kserve.translate import is_ours, translate
from serve_app.tools.kube import yaml_text
from serve_app.tools.kube.documents import CONFIG, Document, get
from serve_app.tools.kube.quantity import quantity
from serve_app.tools.kube.ray_cluster import Group
from serve_app.tools.kube.ray_service import INCREMENTAL, RayService
from serve_app.tools.kube.sources import documents

# Given by `tandem local` itself: places and ports of one machine, where a pod has its own.
_OURS = (
    "address", "block", "dashboard-agent-listen-port", "dashboard-host", "dashboard-port", "head",
    "metrics-export-port", "node-ip-address", "node-name", "port", "ray-client-server-port", "temp-dir",
)  # fmt: skip
# A change of these alone makes no new cluster.
_IN_PLACE = ("replicas", "minReplicas", "maxReplicas", "scaleStrategy", "suspend", "idleTimeoutSeconds")
_IN_PLACE_OF_PODS = ("tolerations", "schedulingGates")
_ROUNDED = {"num-cpus": math.ceil, "memory": math.floor, "num-gpus": math.ceil}  # as the operator does

T = TypeVar("T")


@dataclass(frozen=True)
class NodeGroup:
    """Pods that are alike: the head, or a group of workers."""

    name: str
    replicas: int
    params: Mapping[str, str]  # of `ray start`
    env: Mapping[str, str]
    image: str
    shape: str  # all that a change of makes a new cluster


@dataclass(frozen=True)
class Manifest:
    """One RayService."""

    name: str
    groups: tuple[NodeGroup, ...]  # the head first
    serve_config: dict[str, Any]
    token: bool  # whether Ray asks for one
    without_head: bool  # whether the serve service leaves the head out
    upgrade: str  # the strategy's type
    delay: float  # seconds from a switch-over to the end of the old cluster
    fault_tolerant: bool = False  # whether a head leaves to the next what it knew, in a Redis
    notes: tuple[str, ...] = field(default=(), compare=False)  # what is not as on Kubernetes

    def grown_from(self, other: "Manifest") -> bool:
        """Whether a cluster of `other`'s becomes this one without being replaced."""
        ours, theirs = [g.shape for g in self.groups], [g.shape for g in other.groups]
        return self.token == other.token and ours[: len(theirs)] == theirs


def load(path: Path) -> Manifest:
    """The RayService in a file or a kustomization. ConfigError when there is none that can be run."""
    found = list(documents(path))
    services = [one for one in found if one.kind == "RayService"]
    if not services and any(is_ours(one) for one in found):
        services = [_of_kserve(found)]
    if not services and any("applications" in one.data for one in found):
        raise ConfigError(f"{path}: expected a RayService, found a Serve config: tandem run {path}")
    if len(services) != 1:
        raise ConfigError(f"{path}: expected one RayService, found {len(services)}")
    try:
        return _manifest(services[0])
    except (ConfigError, ValueError, KeyError, AttributeError) as error:
        text = error if isinstance(error, ConfigError) else repr(error)
        raise ConfigError(f"{path}: not a complete RayService ({text}): see `tandem check`") from None


def _of_kserve(found: list[Document]) -> Document:
    """KServe's resources as a RayService, with one node for the Router."""
    data = both_ways.ray_service(translate(found).services, routers=1)
    config = yaml_text.values(get(data, "spec", CONFIG))[0]
    return Document(data, found[0].report, (("spec", CONFIG), config, found[0].report))


def _manifest(document: Document) -> Manifest:
    service, notes = RayService(document.data), list[str]()
    cluster = _needed(service.cluster, "spec.rayClusterConfig")
    _needed(get(cluster.data, "headGroupSpec"), "headGroupSpec")
    _, config, _ = _needed(document.config, f"spec.{CONFIG}")
    if not isinstance(config, dict):
        raise ConfigError(f"spec.{CONFIG} is no mapping")
    if cluster.autoscaled:
        notes.append("the cluster autoscaler doesn't run here: groups have their `replicas`")
    groups = tuple(_group(group, notes) for group in cluster.groups)
    if service.strategy == INCREMENTAL:
        notes.append("no gateway here: an upgrade switches over at once, as NewCluster does")
    delay = service.deletion_delay
    return Manifest(
        name=_needed(document.name, "metadata.name"),
        groups=groups,
        serve_config=config,
        token=cluster.token,
        without_head=service.without_head,
        upgrade=service.strategy or "NewCluster",
        delay=60 if delay is None else delay,
        fault_tolerant=bool(cluster.fault_tolerance),
        notes=tuple(dict.fromkeys(notes)),
    )


def _needed(value: T | None, name: str) -> T:
    if not value:
        raise ConfigError(f"no {name}")
    return value


def _group(group: Group, notes: list[str]) -> NodeGroup:
    if not group.head:
        _needed(group.get("groupName"), "groupName")
    template = _needed(group.get("template"), f"template of {group.name}")
    pod = _needed(get(template, "spec"), f"template.spec of {group.name}")
    params = {name: str(_ROUNDED[name](quantity(value))) for name, value in group.sizes.items()}
    params |= {key: value for key, value in group.params.items() if key not in _OURS}
    shape = {key: value for key, value in group.data.items() if key not in _IN_PLACE}
    shape["template"] = {
        **template,
        "spec": {key: value for key, value in pod.items() if key not in _IN_PLACE_OF_PODS},
    }
    image = _needed(group.first.get("image"), f"image of {group.name}")
    env = _environment(group, notes)
    return NodeGroup(group.name, group.count, params, env, image, json.dumps(shape, sort_keys=True))


def _environment(group: Group, notes: list[str]) -> dict[str, str]:
    env: dict[str, str] = {}
    for one in group.first.parts("env"):
        entry = one.data
        name, source = entry["name"], entry.get("valueFrom") or {}
        if "value" in entry:
            # `$(NAME)` stands for a variable before it, or for itself.
            env[name] = re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), str(entry["value"]))
        elif "fieldRef" in source:
            field_path = source["fieldRef"]["fieldPath"]
            env[name] = {"status.podIP": "127.0.0.1", "metadata.namespace": "default"}.get(
                field_path, group.name
            )
        elif name in os.environ:
            env[name] = os.environ[name]
        else:
            notes.append(f"{name} comes from elsewhere: set it in this environment, or it is missing")
    if group.first.get("envFrom"):
        notes.append(f"envFrom of {group.name} is left out: set its variables in this environment")
    return env
