"""A model's entry as a predictor: the fields that KServe has for it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import serve_app
from serve_app.tools.kserve import arguments, back_pods
from serve_app.tools.kserve.formats import TASKS
from serve_app.tools.kube.documents import get

_FORMATS = {"torch": "pytorch", "transformers": "huggingface", "vllm": "huggingface"}
_WORDS = {ours: theirs for theirs, ours in TASKS.items() if ours}


def predictor_of(
    entry: dict[str, Any], app: Mapping[str, Any], pods: back_pods.Pods, router: Mapping[str, Any],
    model: str, image: str, say: Callable[[str], None],
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
            say("a class runs in an image of yours on KServe: --image names it")
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
        yield from _answers(options)
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


def _answers(options: dict[str, Any]) -> Iterator[str]:
    """Of Transformers' models: what huggingfaceserver does by itself needs no word."""
    dtype, answers = options.pop("dtype", "float32"), options.pop("answers", "named")
    if dtype != "auto":
        yield f"--dtype={dtype}"
    if answers == "named":  # as no server of KServe's does
        options["answers"] = answers
    elif argument := arguments.argument(answers):
        yield f"--{argument}"


def _plain(value: Any) -> bool:
    """A text that comes back as one from a command line."""
    return isinstance(value, str) and bool(value) and arguments.scalar(value) == value


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
