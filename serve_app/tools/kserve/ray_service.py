"""Services as a RayService: Routers in one group of workers, each InferenceService in one of its own.

One replica has one pod, as on KServe: a custom resource of the group's name binds them. So limits,
selectors and tolerations hold for the model that they were written for.
"""

import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import yaml

import serve_app
from serve_app.config import NEW_FIRST
from serve_app.releases.applications import REPLICA
from serve_app.repository.addresses import VOLUMES
from serve_app.tools.kserve import own, serve_config
from serve_app.tools.kserve.service import Service
from serve_app.tools.kube.documents import apart, get
from serve_app.tools.kube.quantity import exact

RAY = "2.60.0"
RAYS_MEMORY = 2**30  # what a worker takes beside the model
_USUAL = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}  # KServe's


def write(
    services: Sequence[Service],
    name: str = "",
    image: str = "",
    kept: Mapping[str, Any] | None = None,
    routers: int = 2,
) -> dict[str, Any]:
    """The whole resource. `kept`: of each service, what it has no place for (`merge`)."""
    image = image or f"tandem:{serve_app.__version__}"
    found: dict[str, Any] = yaml.safe_load(
        resources.files(__package__).joinpath("rayservice.yaml").read_text(encoding="utf-8")
    )
    found["metadata"] = _metadata(services, name, kept or {})
    cluster = found["spec"]["rayClusterConfig"]
    cluster["rayVersion"] = RAY
    head, (router,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    box = _box(head)
    box["image"] = image
    for key in ("env", "volumeMounts", "securityContext"):
        _box(router)[key] = apart(box[key])
    for key in ("volumes", "securityContext"):
        router["template"]["spec"][key] = apart(head["template"]["spec"][key])
    _box(router)["image"] = image
    if any(one.name == router["groupName"] for one in services):
        router["groupName"] = "tandem-router"
    router |= {"replicas": routers, "minReplicas": routers, "maxReplicas": max(4 * routers, 2)}
    own_pods = [one for one in services if any(not model.inline for model in one.models)]
    groups = [_group(router, one) for one in own_pods]
    cluster["workerGroupSpecs"] = [router, *groups]
    inline = [one for one in services if one.models and one not in own_pods]
    for one in inline:
        _into(router, one, sized=False)
    config = _placed(serve_config.write(services, serve_config.EVERYWHERE), services, routers)
    found["spec"]["serveConfigV2"] = yaml.safe_dump(
        config, sort_keys=False, allow_unicode=True, width=100
    )
    return found


def _box(group: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = group["template"]["spec"]["containers"][0]
    return first


def _metadata(services: Sequence[Service], name: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """One service's own; of several, none but the namespace."""
    metas = [one.root.get("metadata") or {} for one in services]
    only = len(services) == 1
    found: dict[str, Any] = {"name": name or (services[0].name if only else "tandem")}
    spaces = [meta["namespace"] for meta in metas if meta.get("namespace")]
    if spaces:
        found["namespace"] = spaces[0]
    if only and metas[0].get("labels"):
        found["labels"] = metas[0]["labels"]
    notes = {
        key: value
        for key, value in ((metas[0].get("annotations") or {}) if only else {}).items()
        if not key.startswith(("kubectl.", "tandem/"))
    }
    if kept:
        notes[own.KEPT] = json.dumps(kept, ensure_ascii=False, sort_keys=True)
    return found | ({"annotations": notes} if notes else {})


def _group(router: dict[str, Any], service: Service) -> dict[str, Any]:
    """A group of workers as the Routers', with what the service says of its pods."""
    found: dict[str, Any] = apart(router)
    least, most = service.pods_wanted
    # New replicas come before old ones go.
    most += math.ceil(most * NEW_FIRST / 100)
    found |= {"groupName": service.name, "replicas": least, "minReplicas": least, "maxReplicas": most}
    # In quotes for the operator's shell, as KubeRay's documentation has it.
    found["rayStartParams"] = {"resources": f"'{json.dumps({service.name: 1})}'"}
    _into(found, service, sized=True)
    return found


def _into(group: dict[str, Any], service: Service, sized: bool) -> None:
    template, pods = group["template"], service.pods
    spec, box = template["spec"], _box(group)
    spec |= {key: value for key, value in pods.spec.items() if key not in ("containers", "volumes")}
    spec["containers"] += pods.spec.get("containers", [])
    volumes = [*spec["volumes"], *pods.spec.get("volumes", [])]
    mounts = [*box["volumeMounts"], *pods.container.get("volumeMounts", [])]
    for claim in _claims(service):
        volumes.append({"name": claim, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
        mounts.append({"name": claim, "mountPath": f"{VOLUMES}/{claim}", "readOnly": True})
    spec["volumes"], box["volumeMounts"] = _by_name(volumes), mounts
    box["env"] = [*box["env"], *pods.container.get("env", [])]
    for key in ("envFrom", "securityContext", "volumeDevices", "imagePullPolicy", "lifecycle"):
        if key in pods.container:
            box[key] = pods.container[key]
    if sized:
        box["resources"] = sizes(pods.container.get("resources") or {})
    for key, said in (("labels", pods.labels), ("annotations", pods.annotations)):
        if said:
            template["metadata"][key] = {**template["metadata"].get(key, {}), **said}


def _by_name(entries: list[Any]) -> list[Any]:
    return list({str(get(one, "name")): one for one in entries}.values())


def _claims(service: Service) -> list[str]:
    """Of pvc://CLAIM/PATH."""
    uris = [str(one.entry.get("storageUri") or "") for one in service.models]
    claims = [uri.removeprefix("pvc://").partition("/")[0] for uri in uris if uri.startswith("pvc://")]
    return list(dict.fromkeys(claims))


def sizes(said: Mapping[str, Any]) -> dict[str, Any]:
    """A container's resources with Ray's memory beside the model's."""
    found = {part: {**(said.get(part) or {})} for part in ("requests", "limits") if said.get(part)}
    for part in found.values():
        if "memory" in part:
            part["memory"] = _more(part["memory"])
    return found or {part: {**usual, "memory": _more(usual["memory"])} for part, usual in _USUAL.items()}


def _more(memory: Any) -> str:
    total = exact(memory) + RAYS_MEMORY
    for unit, size in (("Gi", 2**30), ("Mi", 2**20)):
        if total % size == 0:
            return f"{total // size}{unit}"
    return str(-(-total.numerator // total.denominator))


def _placed(config: dict[str, Any], services: Sequence[Service], routers: int) -> dict[str, Any]:
    """Each deployment bound to its group, and Routers to nodes of their own."""
    router = config["applications"][0]["deployments"][0]
    router |= {"num_replicas": routers, "max_replicas_per_node": 1}
    groups = {model.name: one.name for one in services for model in one.models if not model.inline}
    formats = {model.name: model.format for one in services for model in one.models}
    for app in config["applications"][1:]:
        if formats[app["name"]] == "vllm":
            continue  # its workers are placed by the engine
        reserved = app["args"].get("resources") or {}
        options = {"num_cpus": reserved.get("num_cpus", 1), "resources": {groups[app["name"]]: 1}}
        if reserved.get("num_gpus"):
            options["num_gpus"] = reserved["num_gpus"]
        app["deployments"] = [{"name": REPLICA, "ray_actor_options": options}]
    return config
