"""The Ray cluster in a RayService, RayJob or RayCluster: its groups, their containers and sizes."""

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.tools.kube.documents import get
from serve_app.tools.kube.findings import Place
from serve_app.tools.kube.quantity import quantity

_AT: dict[str, Place] = {
    "RayService": ("spec", "rayClusterConfig"),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayCluster": ("spec",),
}
FAULT_TOLERANCE = "gcsFaultToleranceOptions"
_COUNTED = ("num_cpus", "num_gpus")


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

    def _entries(self, key: str) -> list[Any]:
        entries = self.container(key)
        return entries if isinstance(entries, list) else []

    @property
    def variables(self) -> list[dict[str, Any]]:
        """The entries of its container's `env`."""
        return [one for one in self._entries("env") if isinstance(one, dict)]

    @property
    def env(self) -> dict[str, Any]:
        """Its variables, with their values; None where they come from elsewhere."""
        return {str(one.get("name")): one.get("value") for one in self.variables}

    def env_place(self, name: str) -> Place:
        """Where a variable is set, or the container."""
        for index, one in enumerate(self._entries("env")):
            if get(one, "name") == name:
                return (*self.box, "env", index)
        return self.box

    @property
    def ports(self) -> dict[str, int]:
        """Its container's, by name."""
        return {
            str(one.get("name")): one["containerPort"]
            for one in self._entries("ports")
            if isinstance(one, dict) and isinstance(one.get("containerPort"), int)
        }

    @property
    def count(self) -> int:
        """How many pods the operator makes where no autoscaler decides."""
        wanted = self.get("replicas")
        return 1 if self.head else max(self.least, wanted if isinstance(wanted, int) else self.least)

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
    def sizes(self) -> dict[str, Any]:
        """What the operator takes from the container, by the names of `ray start`, as quantities.

        Limits, and for CPUs the request where there is no limit.
        """
        limits = self.container("resources", "limits") or {}
        requests = self.container("resources", "requests") or {}
        gpus = [value for key, value in sorted(limits.items()) if str(key).endswith("/gpu")]
        found = {
            "num-cpus": limits.get("cpu", requests.get("cpu")),
            "memory": limits.get("memory"),
            "num-gpus": gpus[0] if gpus else None,
        }
        return {key: value for key, value in found.items() if value is not None}

    @property
    def params(self) -> dict[str, str]:
        """Its rayStartParams, without the quotes that the operator's shell takes off."""
        params = self.get("rayStartParams")
        return {
            str(key): _unquoted(value)
            for key, value in (params if isinstance(params, dict) else {}).items()
        }

    @property
    def offers(self) -> dict[str, float]:
        """What a pod gives to Ray: `num_cpus`, `num_gpus`, and its own resources."""
        sizes = {**self.sizes, **self.params}
        found = {key: math.ceil(_number(sizes.get(key.replace("_", "-"), 0))) for key in _COUNTED}
        try:
            own = json.loads(sizes.get("resources", "{}"))
        except ValueError:
            own = {}
        return {**found, **(own if isinstance(own, dict) else {})}


@dataclass(frozen=True)
class RayCluster:
    """The cluster of pods that a resource asks for, at `place` of it."""

    place: Place
    data: dict[str, Any]

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "RayCluster | None":
        """The one in a resource, None where there is none."""
        place = _AT.get(str(resource.get("kind")))
        data = get(resource, *place) if place else None
        return cls(place, data) if place and isinstance(data, dict) else None

    @property
    def head(self) -> Group:
        data = get(self.data, "headGroupSpec")
        return Group(
            "head", True, (*self.place, "headGroupSpec"), data if isinstance(data, dict) else {}
        )

    @property
    def workers(self) -> Iterator[Group]:
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
    def token(self) -> bool:
        """Whether Ray asks whoever calls it for a token."""
        return bool(get(self.data, "authOptions", "mode") == "token")

    @property
    def fault_tolerance(self) -> Any:
        """gcsFaultToleranceOptions: where the head keeps what another head would need."""
        return get(self.data, FAULT_TOLERANCE)

    @property
    def version(self) -> tuple[int, ...] | None:
        """Of Ray, as rayVersion says."""
        text = str(get(self.data, "rayVersion") or "")
        return tuple(map(int, text.split("."))) if re.fullmatch(r"\d+(\.\d+)+", text) else None


def _unquoted(value: Any) -> str:
    try:
        return "".join(shlex.split(str(value)))
    except ValueError:  # a quote without its other half
        return str(value)


def _number(value: Any) -> float:
    try:
        return quantity(value)
    except ValueError:
        return 0
