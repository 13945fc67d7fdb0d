"""A RayService or a Serve config as InferenceServices: what `translate` reads, the other way round."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

import serve_app
from serve_app.tools.kserve import back_pods, graphs, loggers, own
from serve_app.tools.kserve.formats import TASKS
from serve_app.tools.kserve.merge import same
from serve_app.tools.kube.documents import get
from serve_app.tools.serve_names import inline, model_of, named, router_of

API = "serving.kserve.io/v1beta1"
_FORMATS = {"torch": "pytorch", "transformers": "huggingface", "vllm": "huggingface"}
_WORDS = {ours: theirs for theirs, ours in TASKS.items() if ours}
_KUBERNETES_ONLY = "they are one model's in KServe's world: a class, a Tokenizer, options"


@dataclass
class Returned:
    """InferenceServices, and what is to be said of each, by its name."""

    services: list[dict[str, Any]] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)


def convert(
    config: Mapping[str, Any],
    cluster: Mapping[str, Any] | None = None,
    meta: Any = None,
    image: str = "",
) -> Returned:
    """Of a Serve config; `cluster` and `meta` are the RayService's around it."""
    found = Returned()
    apps = {name: app for name, app in named(config) if "args" in app and router_of(app) is None}
    router = next((one for _, app in named(config) if (one := router_of(app)) is not None), {})
    for name, app in named(config):
        if name not in apps and router_of(app) is None:
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
            found.services.append(_inline(name, dict(model), router, image, found))
    _around(found, router)
    for key in router:
        if key not in ("models", "routing", "limits", "graphs", "payloads"):
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


def _around(found: Returned, router: Mapping[str, Any]) -> None:
    """What the Router has of services: loggers, graphs."""
    by_name = {one["metadata"]["name"]: one for one in found.services}
    for entry in router.get("payloads") or []:
        name, logger = loggers.back(entry)
        predictor = get(by_name.get(name), "spec", "predictor")
        if predictor is None or "logger" in predictor:
            found.said.append(("Router", "a logger of `payloads` is no single InferenceService's"))
        else:
            predictor["logger"] = logger
    named_so = {}
    for name, one in by_name.items():
        words = get(one, "spec", "predictor", "model", "args") or []
        said = [word.partition("=")[2] for word in words if word.startswith("--model_name=")]
        named_so[said[0] if said else name] = name
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
            more = _predictor(args, follower, back_pods.Pods(), {}, model or "", image, key, found)
            canaries.append({"predictor": predictor | more, "trafficPercent": weights.get(version, 0)})
        _unversioned(entry, joined)
    predictor = _predictor(entry, app, pods, router, model or "", image, name, found)
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
    service["spec"]["predictor"] = _predictor(
        entry, {}, back_pods.Pods(), router, "" if model == name else model, image, name, found
    )
    _left(entry, service, found)
    return service


def _predictor(
    entry: dict[str, Any], app: Mapping[str, Any], pods: back_pods.Pods, router: Mapping[str, Any],
    model: str, image: str, name: str, found: Returned,
) -> dict[str, Any]:  # fmt: skip
    """Takes out of `entry` what a predictor has a field for."""
    kind = entry.get("modelFormat")
    args = list(_arguments(entry, model))
    predictor: dict[str, Any] = dict(pods.spec)
    box: dict[str, Any] = {"args": args} if args else {}
    variables = get(app, "runtime_env", "env_vars") or {}
    env = [{"name": key, "value": value} for key, value in variables.items()]
    if env or pods.container.get("env"):
        box["env"] = [*env, *pods.container.get("env", [])]
    box |= {key: value for key, value in pods.container.items() if key != "env"}
    _resources(entry, box)
    if kind == "python":
        uri = entry.pop("storageUri", None)
        if uri:
            box["env"] = [{"name": "STORAGE_URI", "value": uri}, *box.get("env", [])]
        if not image:
            found.said.append((name, "a class runs in an image of yours on KServe: --image names it"))
        box = {"name": "kserve-container", "image": image or f"tandem:{serve_app.__version__}"} | box
        predictor["containers"] = [box, *predictor.get("containers", [])]
        entry.pop("modelFormat")
    else:
        head: dict[str, Any] = {"modelFormat": {"name": _FORMATS.get(str(kind), kind)}}
        if "storageUri" in entry:
            head["storageUri"] = entry.pop("storageUri")
        entry.pop("modelFormat", None)
        predictor["model"] = head | box
    _scaled(entry, predictor)
    if router.get("limits", {}).get("timeout") and float(router["limits"]["timeout"]).is_integer():
        predictor["timeout"] = int(router["limits"]["timeout"])
    return predictor


def _arguments(entry: dict[str, Any], model: str) -> Iterator[str]:
    if model:
        yield f"--model_name={model}"
    kind, options = entry.get("modelFormat"), dict(entry.get("options") or {})
    if kind == "transformers":
        if entry.get("tokenizer") == {"replicas": 0}:
            del entry["tokenizer"]
        if (task := _WORDS.get(str(options.get("task")))) is not None:
            del options["task"]
            yield f"--task={task}"
        if options.get("maxLength"):
            yield f"--max_model_len={options.pop('maxLength')}"
        if options.get("dtype"):
            yield f"--dtype={options.pop('dtype')}"
    elif kind == "vllm":
        yield "--task=text_generation"
        engine = dict(entry.get("engine") or {})
        for key, value in list(engine.items()):
            if isinstance(value, bool) and (value or not key.startswith("no_")):
                yield f"--{key}" if value else f"--no_{key}"
            elif isinstance(value, int | float) or _plain(value):
                yield f"--{key}={value}"
            else:
                continue
            del engine[key]
        _set(entry, "engine", engine)
    elif kind in ("sklearn", "xgboost", "lightgbm") and options.get("outputName") == "output-0":
        del options["outputName"]  # KServe's own server's, which it is then
    if kind in ("xgboost", "lightgbm") and options.get("threads"):
        yield f"--nthread={options.pop('threads')}"
    _set(entry, "options", options)


def _plain(value: Any) -> bool:
    """A text that comes back as one from a command line."""
    return isinstance(value, str) and bool(value) and isinstance(yaml.safe_load(value), str)


def _set(entry: dict[str, Any], key: str, value: Any) -> None:
    if value:
        entry[key] = value
    else:
        entry.pop(key, None)


def _resources(entry: dict[str, Any], box: dict[str, Any]) -> None:
    """What the pods have, or what Ray reserves."""
    reserved = entry.pop("resources", None) or {}
    if "resources" in box or not reserved:
        return
    requests = {"cpu": _quantity(reserved["num_cpus"])} if "num_cpus" in reserved else {}
    gpus = {"nvidia.com/gpu": _quantity(reserved["num_gpus"])} if reserved.get("num_gpus") else {}
    box["resources"] = {"requests": requests | gpus} | ({"limits": gpus} if gpus else {})


def _quantity(number: float) -> str:
    return f"{number:g}" if number == int(number) else f"{round(number * 1000)}m"


def _scaled(entry: dict[str, Any], predictor: dict[str, Any]) -> None:
    if (count := entry.pop("replicas", None)) is not None:
        predictor |= {"minReplicas": count, "maxReplicas": count}
    if scaling := entry.pop("autoscaling", None):
        predictor["minReplicas"] = scaling.get("minReplicas", 1)
        predictor["maxReplicas"] = scaling["maxReplicas"]
        target = scaling.get("scaleTarget")
        if target is not None and float(target).is_integer():
            predictor |= {"scaleTarget": int(target), "scaleMetric": "concurrency"}
        elif target is not None:
            entry["autoscaling"] = {"scaleTarget": target}
    if "concurrency" in entry:
        predictor["containerConcurrency"] = entry.pop("concurrency")
    batching = entry.get("batching")
    if batching and float(batching.get("maxLatency", 0)).is_integer() and batching.get("maxLatency"):
        size, wait = batching["maxBatchSize"], int(batching["maxLatency"])
        predictor["batcher"] = {"maxBatchSize": size, "maxLatency": wait}
        del entry["batching"]


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
