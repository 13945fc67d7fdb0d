"""A group of workers of a RayService as a predictor's pod: what `ray_service` put there, taken out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import resources
from typing import Any

import yaml

from serve_app.repository.addresses import VOLUMES
from serve_app.tools.kserve.merge import same
from serve_app.tools.kserve.pods import CARRIED
from serve_app.tools.kserve.ray_service import RAYS_MEMORY, sizes
from serve_app.tools.kube.documents import get, items
from serve_app.tools.kube.quantity import exact

_CONTAINER = ("envFrom", "securityContext", "volumeDevices", "imagePullPolicy", "lifecycle")


@dataclass
class Pods:
    """Fields of a predictor, and of its container."""

    spec: dict[str, Any] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)


def read(cluster: Mapping[str, Any] | None, name: str) -> Pods:
    """Of the group that has a service's name; nothing where there is none."""
    groups = items(cluster, "workerGroupSpecs")
    bound = f'"{name}"'
    group = next((one for one in groups if bound in str(get(one, "rayStartParams", "resources"))), None)
    if group is None:
        return Pods()
    found = Pods()
    spec, box = (
        get(group, "template", "spec") or {},
        get(group, "template", "spec", "containers", 0) or {},
    )
    usual_spec, usual_box = _usual()
    for key in CARRIED:
        if key in spec and key != "volumes" and not same(spec[key], usual_spec.get(key)):
            found.spec[key] = spec[key]
    claims = [one for one in items(box, "volumeMounts") if _is_claim(one)]
    names = {get(one, "name") for one in claims}
    volumes = _more(items(spec, "volumes"), usual_spec["volumes"], names)
    mounts = [one for one in _more(items(box, "volumeMounts"), usual_box["volumeMounts"], set())
              if one not in claims]  # fmt: skip
    others = items(spec, "containers")[1:]
    for part, key, value in (
        (found.spec, "volumes", volumes), (found.container, "volumeMounts", mounts),
        (found.spec, "containers", others),
        (found.container, "env", _more(items(box, "env"), usual_box["env"], set())),
    ):  # fmt: skip
        if value:
            part[key] = value
    for key in _CONTAINER:
        if key in box and not same(box[key], usual_box.get(key)):
            found.container[key] = box[key]
    if not same(box.get("resources"), sizes({})):
        found.container["resources"] = _without_ray(box.get("resources") or {})
    for key in ("labels", "annotations"):
        said = get(group, "template", "metadata", key) or {}
        rest = {name: value for name, value in said.items() if name != "tandem-node"}
        if rest:
            found.spec[key] = rest
    return found


def _usual() -> tuple[dict[str, Any], dict[str, Any]]:
    text = resources.files(__package__).joinpath("rayservice.yaml").read_text(encoding="utf-8")
    cluster = yaml.safe_load(text)["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    worker = cluster["workerGroupSpecs"][0]["template"]["spec"]
    spec = {**worker, "volumes": head["volumes"], "securityContext": head["securityContext"]}
    return spec, head["containers"][0]


def _is_claim(one: Any) -> bool:
    name = get(one, "name")
    return bool(get(one, "mountPath") == f"{VOLUMES}/{name}")


def _more(found: list[Any], usual: list[Any], without: set[Any]) -> list[Any]:
    return [one for one in found if one not in usual and get(one, "name") not in without]


def _without_ray(said: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own memory."""
    result = {part: dict(values or {}) for part, values in said.items()}
    for part in result.values():
        if "memory" in part:
            part["memory"] = _text(exact(part["memory"]) - RAYS_MEMORY)
    return result


def _text(size: Fraction) -> str:
    size = max(size, Fraction(0))
    for unit, each in (("Gi", 2**30), ("Mi", 2**20)):
        if size and size % each == 0:
            return f"{size // each}{unit}"
    return str(-(-size.numerator // size.denominator))
