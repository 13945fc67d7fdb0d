"""The Ray cluster in a resource of KubeRay's: its groups, their containers and sizes."""

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.tools.kube.documents import get
from serve_app.tools.kube.findings import Place
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.quantity import quantity

_AT: dict[str, Place] = {
    "RayService": ("spec", "rayClusterConfig"),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayCronJob": ("spec", "jobTemplate", "rayClusterSpec"),
    "RayCluster": ("spec",),
}
_OF_ANOTHER = ("RayJob", "RayCronJob")  # they may take a cluster that is there, by clusterSelector
FAULT_TOLERANCE = "gcsFaultToleranceOptions"
# As the operator tells them (KubeRay's IsGPUResourceKey, customAcceleratorToRayResourceMap).
GPU = re.compile(r"gpu$|nvidia\.com/mig-\d+g\.\d+gb$", re.IGNORECASE)
_ACCELERATORS = {"aws.amazon.com/neuroncore": "neuron_cores", "google.com/tpu": "TPU"}


@dataclass(frozen=True)
class Group(Looks):
    """The head or a group of workers, at `place`."""

    name: str
    head: bool
    place: Place
    data: dict[str, Any]

    @property
    def first(self) -> Part:
        """Ray's container."""
        return self.at("template", "spec", "containers", 0)

    @property
    def box(self) -> Place:
        """Where it is."""
        return self.first.place

    @property
    def env(self) -> dict[str, Any]:
        """Its variables, with their values; None where they come from elsewhere."""
        return {str(one.get("name")): one.get("value") for one in self.first.parts("env")}

    def env_place(self, name: str) -> Place:
        """Where a variable is set, or the container."""
        places = [one.place for one in self.first.parts("env") if one.get("name") == name]
        return places[0] if places else self.box

    @property
    def ports(self) -> dict[str, int]:
        """Its container's, by name."""
        numbers = ((one.get("name"), one.number("containerPort")) for one in self.first.parts("ports"))
        return {str(name): number for name, number in numbers if number is not None}

    @property
    def count(self) -> int:
        """How many pods the operator makes where no autoscaler decides."""
        wanted = self.number("replicas")
        return 1 if self.head else max(self.least, self.least if wanted is None else wanted)

    @property
    def most(self) -> float:
        """How many pods there may be."""
        most = 1 if self.head else self.number("maxReplicas")
        return math.inf if most is None else most

    @property
    def least(self) -> int:
        """How many pods there are at any rate."""
        return 1 if self.head else self.number("minReplicas") or 0

    @property
    def sizes(self) -> dict[str, Any]:
        """What the operator takes from the container, by the names of `ray start`, as quantities.

        Limits, and for CPUs the request where there is no limit.
        """
        limits = self.first.mapping("resources", "limits")
        requests = self.first.mapping("resources", "requests")
        gpus = [value for key, value in sorted(limits.items(), key=str) if GPU.search(str(key))]
        found = {
            "num-cpus": limits.get("cpu", requests.get("cpu")),
            "memory": limits.get("memory"),
            "num-gpus": gpus[0] if gpus else None,
        }
        return {key: value for key, value in found.items() if value is not None}

    @property
    def params(self) -> dict[str, str]:
        """Its rayStartParams, without the quotes that the operator's shell takes off."""
        return {str(key): _unquoted(value) for key, value in self.mapping("rayStartParams").items()}

    @property
    def offers(self) -> dict[str, float]:
        """What a pod gives to Ray: `num_cpus`, `num_gpus`, and its own resources.

        Without a number of CPUs Ray takes its machine's, however many these are.
        """
        sizes = {"num-cpus": math.inf, **self.sizes, **self.params}
        found = {key: _whole(sizes.get(key.replace("_", "-"), 0)) for key in ("num_cpus", "num_gpus")}
        for key, value in self.first.mapping("resources", "limits").items():
            if key in _ACCELERATORS:
                found[_ACCELERATORS[key]] = _number(value)
        for key, value in self.mapping("resources").items():
            counted = {"cpu": "num_cpus", "memory": "memory"}.get(str(key).lower(), str(key))
            found["num_gpus" if GPU.search(str(key)) else counted] = _number(value)
        try:
            own = json.loads(sizes.get("resources", "{}"))
        except ValueError:
            own = {}
        return found | {str(key): _number(value) for key, value in Part((), own).mapping().items()}


@dataclass(frozen=True)
class RayCluster(Looks):
    """The cluster of pods that a resource asks for, at `place` of it; empty where it takes another's."""

    place: Place
    data: dict[str, Any]

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "RayCluster | None":
        """The one in a resource, None where there is none."""
        kind = str(resource.get("kind"))
        place = _AT.get(kind, ())
        data = get(resource, *place)
        if data is None and kind in _OF_ANOTHER and isinstance(get(resource, *place[:-1]), dict):
            data = {}
        return cls(place, data) if place and isinstance(data, dict) else None

    @property
    def head(self) -> Group:
        return Group("head", True, (*self.place, "headGroupSpec"), self.mapping("headGroupSpec"))

    @property
    def workers(self) -> Iterator[Group]:
        for index, one in enumerate(self.parts("workerGroupSpecs")):
            yield Group(str(one.get("groupName") or index), False, one.place, one.data)

    @property
    def groups(self) -> list[Group]:
        """The head first."""
        return [self.head, *self.workers] if self.data else []

    @property
    def autoscaled(self) -> bool:
        """Whether Ray's autoscaler sets the numbers of workers."""
        return self.get("enableInTreeAutoscaling") is True

    @property
    def token(self) -> bool:
        """Whether Ray asks whoever calls it for a token."""
        return self.text("authOptions", "mode") == "token"

    @property
    def fault_tolerance(self) -> Any:
        """gcsFaultToleranceOptions: where the head keeps what another head would need."""
        return self.get(FAULT_TOLERANCE)

    @property
    def version(self) -> tuple[int, ...] | None:
        """Of Ray, as rayVersion says; None where it says none."""
        found = re.match(r"\s*v?(\d+(?:\.\d+)+)", str(self.get("rayVersion") or ""))
        return tuple(map(int, found[1].split("."))) if found else None


def _unquoted(value: Any) -> str:
    try:
        return "".join(shlex.split(str(value)))
    except ValueError:  # a quote without its other half
        return str(value)


def _number(value: Any) -> float:
    try:
        return quantity(value)
    except ValueError:
        return math.inf if value == math.inf else 0


def _whole(value: Any) -> float:
    found = _number(value)
    return found if math.isinf(found) else math.ceil(found)
