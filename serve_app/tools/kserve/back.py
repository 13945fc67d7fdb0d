"""A RayService or a Serve config as InferenceServices: what `translate` reads, the other way round."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from serve_app.tools.kserve import back_pods, elsewhere, explainers, graphs, loggers, own, transformer
from serve_app.tools.kserve.back_predictor import predictor_of
from serve_app.tools.kserve.merge import same
from serve_app.tools.kube.documents import get
from serve_app.tools.serve_names import inline, model_of, named, router_of

API = "serving.kserve.io/v1beta1"


@dataclass
class Returned:
    """InferenceServices, and what is to be said of each, by its name."""

    services: list[dict[str, Any]] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)

    def sayer(self, name: str) -> Callable[[str], None]:
        """What is said of one of them."""
        return lambda text: self.said.append((name, text))


def convert(
    config: Mapping[str, Any],
    cluster: Mapping[str, Any] | None = None,
    meta: Any = None,
    image: str = "",
) -> Returned:
    """Of a Serve config; `cluster` and `meta` are the RayService's around it."""
    found = Returned()
    apps = {name: app for name, app in named(config) if "args" in app and router_of(app) is None}
    explaining = {name: apps.pop(name) for name, app in list(apps.items()) if explainers.explains(app)}
    router = next((one for _, app in named(config) if (one := router_of(app)) is not None), {})
    for name, app in named(config):
        if name not in apps and name not in explaining and router_of(app) is None:
            found.said.append((name, "no model of Tandem's: its application isn't carried"))
    canaries = {name for name, app in apps.items() if model_of(name, app) != name} & {
        name for name, app in apps.items() if _stable(name, app, apps)
    }
    for name, app in apps.items():
        if name not in canaries:
            followers = {one: apps[one] for one in canaries if _stable(one, apps[one], apps) == name}
            found.services.append(_service(name, app, followers, router, cluster, image, found))
    for app in (app for _, app in named(config)):
        for name, model in inline(app).items():
            if model.get("modelFormat") in elsewhere.FORMATS:
                found.said.append((name, "another server's model: there is nothing of it to deploy"))
                continue
            found.services.append(_inline(name, dict(model), router, image, found))
    explainers.back(explaining, found.services, image, lambda *said: found.said.append(said))
    _around(found, router, image)
    for key in router:
        if key not in ("models", "routing", "limits", "graphs", "payloads", "transformers"):
            found.said.append(("Router", f"`{key}` has no place in an InferenceService"))
    for key in router.get("limits") or {}:
        if key != "timeout":
            found.said.append(("Router", f"`limits.{key}` has no place in an InferenceService"))
    if len(found.services) == 1 and found.services[0]["kind"] == "InferenceService":
        _metadata(found.services[0], meta or {})
    elif namespace := get(meta, "namespace"):
        for one in found.services:
            one["metadata"]["namespace"] = namespace
    return found


def _around(found: Returned, router: Mapping[str, Any], image: str) -> None:
    """What the Router has of services: loggers, transformers, graphs."""
    by_name = {one["metadata"]["name"]: one for one in found.services}
    named_so = {}
    for name, one in by_name.items():
        words = get(one, "spec", "predictor", "model", "args") or []
        words = words or get(one, "spec", "predictor", "containers", 0, "args") or []
        said = [word.partition("=")[2] for word in words if word.startswith("--model_name=")]
        named_so[said[0] if said else name] = name
    transformer.back(router, by_name, named_so, image, lambda *said: found.said.append(said))
    for entry in router.get("payloads") or []:
        name, logger = loggers.back(entry)
        part = get(by_name.get(name), "spec", entry.get("component", "predictor"))
        if part is None or "logger" in part:
            found.said.append(("Router", "a logger of `payloads` is no single InferenceService's"))
        else:
            part["logger"] = logger
    found.services += [graphs.back(graph, named_so) for graph in router.get("graphs") or []]


def _stable(name: str, app: Mapping[str, Any], apps: Mapping[str, Any]) -> str:
    """The application whose model this one has another version of; '' where there is none."""
    model = model_of(name, app)
    if model == name:
        return ""
    others = [one for one, other in apps.items() if one != name and name.startswith(f"{one}-")]
    return next((one for one in others if model_of(one, apps[one]) == model), "")


def _metadata(service: dict[str, Any], meta: Mapping[str, Any]) -> None:
    own_notes = service["metadata"].get("annotations", {})
    for key in ("namespace", "labels"):
        if meta.get(key):
            service["metadata"][key] = meta[key]
    notes = {key: value for key, value in (meta.get("annotations") or {}).items() if key != own.KEPT}
    if notes or own_notes:
        service["metadata"]["annotations"] = {**notes, **own_notes}


def _service(
    name: str, app: Mapping[str, Any], followers: Mapping[str, Mapping[str, Any]],
    router: Mapping[str, Any], cluster: Mapping[str, Any] | None, image: str, found: Returned,
) -> dict[str, Any]:  # fmt: skip
    entry = dict(app.get("args") or {})
    pods = back_pods.read(cluster, name)
    service = _new(name)
    model = entry.pop("model", None)
    weights = get(router, "routing", str(model or name), "traffic", "weights") or {}
    canaries = []
    if followers:
        versions = [entry, *(one.get("args") or {} for one in followers.values())]
        uris = [one.get("storageUri") for one in versions]
        joined = len(set(uris)) == 1
        for key, follower in followers.items():
            args = dict(follower.get("args") or {})
            args.pop("model", None)
            version = _unversioned(args, joined)
            predictor = {"name": key.removeprefix(f"{name}-")}
            more = predictor_of(
                args, follower, back_pods.Pods(), {}, model or "", image, found.sayer(key)
            )
            canaries.append({"predictor": predictor | more, "trafficPercent": weights.get(version, 0)})
        _unversioned(entry, joined)
    predictor = predictor_of(entry, app, pods, router, model or "", image, found.sayer(name))
    service["spec"]["predictor"] = predictor
    if canaries:
        service["spec"]["canary"] = canaries
    _left(entry, service, found)
    return service


def _unversioned(entry: dict[str, Any], joined: bool) -> str:
    """The one version that it has, put into the storageUri where all have the same."""
    version = str((entry.pop("versions", None) or ["1"])[0])
    if joined and entry.get("storageUri"):
        entry["storageUri"] = f"{entry['storageUri']}/{version}"
    return version


def _new(name: str) -> dict[str, Any]:
    return {
        "apiVersion": API, "kind": "InferenceService", "metadata": {"name": name},
        "spec": {"predictor": {}},
    }  # fmt: skip


def _inline(
    name: str, entry: dict[str, Any], router: Mapping[str, Any], image: str, found: Returned
) -> dict[str, Any]:
    service = _new(name)
    service["metadata"]["annotations"] = {own.PLACEMENT: "inline"}
    for key in ("placement", "loadTimeout"):
        entry.pop(key, None)
    model = entry.pop("name", name)
    service["spec"]["predictor"] = predictor_of(
        entry, {}, back_pods.Pods(), router, "" if model == name else model, image, found.sayer(name)
    )
    _left(entry, service, found)
    return service


def _left(entry: dict[str, Any], service: dict[str, Any], found: Returned) -> None:
    """What no field of KServe's says is Tandem's alone, in an annotation."""
    entry = {key: value for key, value in entry.items() if key != "placement"}
    if not entry or same(entry, {}):
        return
    notes = service["metadata"].setdefault("annotations", {})
    notes[own.MODEL] = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True)
    keys = ", ".join(entry)
    found.said.append(
        (service["metadata"]["name"], f"KServe doesn't read {keys}: in the annotation {own.MODEL}")
    )
