"""A RayService manifest as the nodes that it asks for, with what KubeRay's operator adds to them."""

import json
import math
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check.command import documents
from serve_app.tools.kube.quantity import quantity

# Given by `tandem local` itself: places and ports of one machine, where a pod has its own.
_OURS = (
    "address", "block", "dashboard-agent-listen-port", "dashboard-host", "dashboard-port", "head",
    "metrics-export-port", "node-ip-address", "node-name", "port", "ray-client-server-port", "temp-dir",
)  # fmt: skip
# A change of these alone makes no new cluster.
_IN_PLACE = ("replicas", "minReplicas", "maxReplicas", "scaleStrategy", "suspend", "idleTimeoutSeconds")
_IN_PLACE_OF_PODS = ("tolerations", "schedulingGates")


@dataclass(frozen=True)
class Group:
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
    groups: tuple[Group, ...]  # the head first
    serve_config: dict[str, Any]
    token: bool  # whether Ray asks for one
    without_head: bool  # whether the serve service leaves the head out
    upgrade: str  # the strategy's type
    delay: float  # seconds from a switch-over to the end of the old cluster
    notes: tuple[str, ...] = field(default=(), compare=False)  # what is not as on Kubernetes

    def grown_from(self, other: "Manifest") -> bool:
        """Whether a cluster of `other`'s becomes this one without being replaced."""
        ours, theirs = [g.shape for g in self.groups], [g.shape for g in other.groups]
        return self.token == other.token and ours[: len(theirs)] == theirs


def load(path: Path) -> Manifest:
    """The RayService in a file or a kustomization. ConfigError when there is none that can be run."""
    services = [one.data for one in documents(path) if one.kind == "RayService"]
    if len(services) != 1:
        raise ConfigError(f"{path}: expected one RayService, found {len(services)}")
    try:
        return _manifest(services[0])
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ConfigError(f"{path}: not a complete RayService ({error!r}): see `tandem check`") from None


def changed(path: Path) -> float:
    """When the file, or anything that a kustomization is made of, was last written; 0 while it can't be
    read, as between an editor's two steps."""
    try:
        files = {path, *(Path(one.report.file) for one in documents(path))} if path.is_dir() else {path}
        folders = {file.parent if file.is_file() else file for file in files} if path.is_dir() else set()
        files |= {file for folder in folders for file in folder.glob("*.yaml")}
        return max(file.stat().st_mtime for file in files)
    except (OSError, ConfigError):
        return 0


def _manifest(data: dict[str, Any]) -> Manifest:
    spec, notes = data["spec"], []
    cluster = spec["rayClusterConfig"]
    scaled = cluster.get("enableInTreeAutoscaling")
    if scaled:
        notes.append("the cluster autoscaler doesn't run here: groups have their `replicas`")
    if cluster.get("gcsFaultToleranceOptions"):
        notes.append("without the Redis of gcsFaultToleranceOptions: a head that dies takes its cluster")
    groups = [_group("head", cluster["headGroupSpec"], 1, notes)]
    for group in cluster.get("workerGroupSpecs") or []:
        least = group.get("minReplicas") or 0
        wanted = group.get("replicas")
        replicas = max(least, least if wanted is None else wanted)
        groups.append(_group(group["groupName"], group, replicas, notes))
    upgrade = (spec.get("upgradeStrategy") or {}).get("type") or "NewCluster"
    if upgrade == "NewClusterWithIncrementalUpgrade":
        notes.append("no gateway here: an upgrade switches over at once, as NewCluster does")
    return Manifest(
        name=data["metadata"]["name"],
        groups=tuple(groups),
        serve_config=yaml.safe_load(spec["serveConfigV2"]),
        token=(cluster.get("authOptions") or {}).get("mode") == "token",
        without_head=bool(spec.get("excludeHeadPodFromServeSvc")),
        upgrade=upgrade,
        delay=spec.get("rayClusterDeletionDelaySeconds", 60),
        notes=tuple(dict.fromkeys(notes)),
    )


def _group(name: str, spec: dict[str, Any], replicas: int, notes: list[str]) -> Group:
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    resources = container.get("resources") or {}
    params = {key: shlex.split(str(value))[0] for key, value in _sized(resources).items()}
    for key, value in (spec.get("rayStartParams") or {}).items():
        if key not in _OURS:
            params[key] = "".join(shlex.split(str(value)))  # the operator hands it to a shell
    shape = {key: value for key, value in spec.items() if key not in _IN_PLACE}
    shape["template"] = {
        **spec["template"],
        "spec": {key: value for key, value in pod.items() if key not in _IN_PLACE_OF_PODS},
    }
    env = _environment(name, container, notes)
    return Group(name, replicas, params, env, container["image"], json.dumps(shape, sort_keys=True))


def _sized(resources: dict[str, Any]) -> dict[str, Any]:
    """What the operator takes from the container: limits, and for CPUs the request without one."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    sizes: dict[str, Any] = {}
    if cpu := limits.get("cpu", requests.get("cpu")):
        sizes["num-cpus"] = math.ceil(quantity(cpu))
    if memory := limits.get("memory"):
        sizes["memory"] = math.floor(quantity(memory))
    for key, value in limits.items():
        if key.endswith("/gpu"):
            sizes["num-gpus"] = math.ceil(quantity(value))
    return sizes


def _environment(group: str, container: dict[str, Any], notes: list[str]) -> dict[str, str]:
    env: dict[str, str] = {}
    for entry in container.get("env") or []:
        name, source = entry["name"], entry.get("valueFrom") or {}
        if "value" in entry:
            # `$(NAME)` stands for a variable before it, or for itself.
            env[name] = re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), str(entry["value"]))
        elif "fieldRef" in source:
            field_path = source["fieldRef"]["fieldPath"]
            env[name] = {"status.podIP": "127.0.0.1", "metadata.namespace": "default"}.get(
                field_path, group
            )
        elif name in os.environ:
            env[name] = os.environ[name]
        else:
            notes.append(f"{name} comes from elsewhere: set it in this environment, or it is missing")
    if container.get("envFrom"):
        notes.append(f"envFrom of {group} is left out: set its variables in this environment")
    return env
