"""The Ray cluster in a RayService, RayJob or RayCluster: its groups, their containers and sizes."""

import json
import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serve_app.tools.check.documents import Document, get
from serve_app.tools.check.findings import Place
from serve_app.tools.kube.quantity import quantity

_AT: dict[str, Place] = {
    "RayService": ("spec", "rayClusterConfig"),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayCluster": ("spec",),
}


@dataclass(frozen=True)
class Group:
    """The head or a group of workers, at `place`."""

    name: str
    head: bool
    place: Place
    data: dict[str, Any]

    @property
    def pod(self) -> Place:
        """Where its pod's spec is."""
        return (*self.place, "template", "spec")

    @property
    def box(self) -> Place:
        """Where Ray's container is."""
        return (*self.pod, "containers", 0)

    def get(self, *path: str | int) -> Any:
        """A value of the group."""
        return get(self.data, *path)

    def container(self, *path: str | int) -> Any:
        """A value of Ray's container."""
        return get(self.data, "template", "spec", "containers", 0, *path)

    @property
    def env(self) -> dict[str, Any]:
        """Its variables, with their values; None where they come from elsewhere."""
        entries = self.container("env")
        return {
            str(one.get("name")): one.get("value")
            for one in (entries if isinstance(entries, list) else [])
            if isinstance(one, dict)
        }

    def env_place(self, name: str) -> Place:
        """Where a variable is set, or the container."""
        entries = self.container("env")
        for index, one in enumerate(entries if isinstance(entries, list) else []):
            if get(one, "name") == name:
                return (*self.box, "env", index)
        return self.box

    @property
    def ports(self) -> dict[str, int]:
        """Its container's, by name."""
        entries = self.container("ports")
        return {
            str(one.get("name")): one["containerPort"]
            for one in (entries if isinstance(entries, list) else [])
            if isinstance(one, dict) and isinstance(one.get("containerPort"), int)
        }

    @property
    def most(self) -> float:
        """How many pods there may be."""
        if self.head:
            return 1
        most = self.get("maxReplicas")
        return most if isinstance(most, int) else math.inf

    @property
    def least(self) -> int:
        """How many pods there are at any rate."""
        if self.head:
            return 1
        least = self.get("minReplicas")
        return least if isinstance(least, int) else 0

    @property
    def offers(self) -> dict[str, float]:
        """What a pod gives to Ray: `num_cpus`, `num_gpus`, and its own resources."""
        params = self.get("rayStartParams") or {}
        limits = self.container("resources", "limits") or {}
        requests = self.container("resources", "requests") or {}
        gpus = [value for key, value in limits.items() if str(key).endswith("/gpu")]
        sizes: dict[str, Any] = {
            "num_cpus": params.get("num-cpus", limits.get("cpu", requests.get("cpu", 0))),
            "num_gpus": params.get("num-gpus", gpus[0] if gpus else 0),
        }
        found = {key: math.ceil(_number(value)) for key, value in sizes.items()}
        try:
            own = json.loads("".join(shlex.split(str(params.get("resources", "{}")))))
        except ValueError:
            own = {}
        return {**found, **(own if isinstance(own, dict) else {})}


@dataclass(frozen=True)
class Cluster:
    """A document's Ray cluster."""

    document: Document
    place: Place
    data: dict[str, Any]

    @classmethod
    def of(cls, document: Document) -> "Cluster | None":
        """The one in a document, None where there is none."""
        place = _AT.get(document.kind)
        data = get(document.data, *place) if place else None
        return cls(document, place, data) if place and isinstance(data, dict) else None

    @property
    def head(self) -> Group:
        """Its head."""
        data = get(self.data, "headGroupSpec")
        return Group(
            "head", True, (*self.place, "headGroupSpec"), data if isinstance(data, dict) else {}
        )

    @property
    def workers(self) -> Iterator[Group]:
        """Its worker groups."""
        groups = get(self.data, "workerGroupSpecs")
        for index, one in enumerate(groups if isinstance(groups, list) else []):
            if isinstance(one, dict):
                place = (*self.place, "workerGroupSpecs", index)
                yield Group(str(one.get("groupName", index)), False, place, one)

    @property
    def groups(self) -> list[Group]:
        """The head first."""
        return [self.head, *self.workers]

    @property
    def autoscaled(self) -> bool:
        """Whether Ray's autoscaler sets the numbers of workers."""
        return bool(get(self.data, "enableInTreeAutoscaling"))

    @property
    def version(self) -> tuple[int, ...] | None:
        """Of Ray, as rayVersion says."""
        text = str(get(self.data, "rayVersion") or "")
        return tuple(map(int, text.split("."))) if re.fullmatch(r"\d+(\.\d+)+", text) else None


def _number(value: Any) -> float:
    try:
        return quantity(value)
    except ValueError:
        return 0
