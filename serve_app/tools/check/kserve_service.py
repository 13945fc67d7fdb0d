"""What KServe refuses, or ignores, in an InferenceService beyond its schema, and what it refuses in the
pods of a runtime (KServe 0.20: the validation webhooks in pkg/apis/serving and pkg/webhook)."""

import json
from collections.abc import Iterable

from serve_app.tools.check import rules as the
from serve_app.tools.check.kserve_parts import (
    FRAMEWORKS,
    ISVC,
    MODE,
    NAME,
    OLD_MODES,
    SCALER,
    components,
    containers,
    mode_of,
    models,
    predictors,
    spread_models,
    workers,
)  # fmt: skip
from serve_app.tools.check.rules import Resource, Rule, Table, When
from serve_app.tools.kube.part import Looks

_MODES, _SCALERS = ("Standard", "Knative", "ModelMesh", *OLD_MODES), ("hpa", "keda", "external", "none")
_STORED = (
    "gs", "s3", "pvc", "file", "https", "http", "hdfs", "webhdfs", "oci", "oci+native", "oci+fetch",
    "hf",
)  # fmt: skip
_PROTOCOLS = ("v1", "v2", "grpc-v1", "grpc-v2")
_PARALLEL = ("pipelineParallelSize", "tensorParallelSize")
_PLAIN = ("cpu", "memory", "storage", "ephemeral-storage")
_GPUS = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi")


def _noted(note: str, *words: str) -> When:
    """Whether there is such an annotation, with one of these values if there are some."""

    def broken(whole: Looks, _: Resource) -> bool:
        value = whole.get("metadata", "annotations", note)
        return value in words if words else value is not None

    return broken


def _implementations(component: Looks) -> list[str]:
    """What there is to run; of a predictor's containers that of the name alone, beside others."""
    predictor = component.place[-1] == "predictor"
    found = [name for name in ("model", *FRAMEWORKS) if predictor and component.get(name) is not None]
    found += ["art"] if component.place[-1] == "explainer" and component.get("art") is not None else []
    names = [one.text("name") for one in component.parts("containers")]
    if predictor and (found or "kserve-container" in names):
        return found + ["kserve-container"] * names.count("kserve-container")
    return found + ["containers"] * bool(component.items("containers"))


def _nothing_to_run(component: Looks, resource: Resource) -> str:
    """Not so of what runs on several nodes."""
    name = component.place[-1]
    if _implementations(component) or (name == "predictor" and component.get("workerSpec") is not None):
        return ""
    usual = {"predictor": "`model`", "explainer": "`art`"}.get(str(name))
    return f"neither {usual} nor `containers`" if usual else "no `containers`"


def _has(name: str, *others: str) -> When:
    """Whether it is one of these variables."""
    return lambda variable, _: variable.get("name") in (name, *others) and variable.get("name")


def _custom_variables(resource: Resource) -> Iterable[Looks]:
    """Those of a predictor's own container."""
    own = [one for one in predictors(resource)
           if "containers" in (run := _implementations(one)) or run == ["kserve-container"]]  # fmt: skip
    return [entry for one in own for entry in one.at("containers", 0).parts("env")]


def _strewn(component: Looks, _: Resource) -> str:
    """Mounts that have no folder in common."""
    uris = [one for one in component.parts("storageUris") if not one.text("uri").startswith("pvc://")]
    paths = [one.text("mountPath") or "/mnt/models" for one in uris]
    return ", ".join(paths) if len({path.strip("/").partition("/")[0] for path in paths}) > 1 else ""


def _no_gpu(model: Looks, resource: Resource) -> str:
    """A resource that isn't known as a GPU."""
    try:
        more = json.loads(resource.note("serving.kserve.io/gpu-resource-types") or "[]")
    except ValueError:
        return ""
    asked = {**model.mapping("resources", "limits"), **model.mapping("resources", "requests")}
    known = (*_PLAIN, *_GPUS, *(more if isinstance(more, list) else ()))
    return next((key for key in map(str, asked) if key not in known and "nvidia.com/mig" not in key), "")


def _no_shared_storage(model: Looks, _: Resource) -> str:
    uri = model.text("storageUri")
    kept = model.place[-1] != "model" or uri.split("://")[0] in ("pvc", "oci")
    return "" if kept else (f"'{uri}'" if uri else "no storageUri")


def _many_ports(pod: Looks, _: Resource) -> int:
    count = max((len(one.items("ports")) for one in pod.parts("containers")), default=0)
    return count if count > 1 else 0


_WHOLE = (
    *(Rule(f"metadata annotations {MODE}", _noted(MODE, old),
           f"{old} is called {new} now", f"{MODE}: {new}", "", "warning")
      for old, new in OLD_MODES.items()),
    the.noted(MODE, _MODES, "deployment mode"),
    the.noted(SCALER, _SCALERS, "autoscaler class"),
    Rule(f"metadata annotations {SCALER}",
         lambda w, r: r.note(SCALER) in ("keda", "hpa") and mode_of(r) == "Knative" and r.note(SCALER),
         "{} with mode Knative", f"{MODE}: Standard",
         "Knative scales by itself, and the class is ignored"),
    *(Rule(f"metadata annotations {note}", _noted(note), f"no such annotation; it is {right}", right,
           "it is ignored", "warning")
      for right in (MODE, SCALER)
      for note in (right.lower(), right.replace("kserve.io", "kubeflow.org"))),
    Rule("spec default", the.is_set("spec default"), "v1alpha2's form",
         "spec: {predictor: {canaryTrafficPercent: …, model: {…}}}",
         "v1beta1 knows `predictor`, with the traffic of a canary in it"),
)  # fmt: skip
_COMPONENT = (
    *(the.at_least(key, 0) for key in ("minReplicas", "maxReplicas", "containerConcurrency")),
    Rule("minReplicas", lambda c, _: 0 < (c.number("maxReplicas") or 0) < (c.number("minReplicas") or 0),
         "{minReplicas} is more than maxReplicas {maxReplicas}"),
    Rule("", _nothing_to_run, "{}", why="there is nothing to run"),
    Rule("", lambda c, _: len(run := _implementations(c)) > 1 and " and ".join(run),
         "{} beside each other: exactly one is run", "one of them",
         "KServe refuses it, or runs one of them alone"),
    Rule("logger mode", lambda c, _: c.mapping("logger") and c.get("logger", "mode") not in
         ("all", "request", "response"), "one of all, request, response"),
    Rule("logger storage", lambda c, _: c.mapping("logger", "storage") and any(
         c.get("logger", "storage", key) is None for key in ("path", "parameters", "key")),
         "key, path and parameters are all needed"),
    Rule("storageUris", lambda c, _: c.get("storageUris") is not None
         and any(c.get(name, "storageUri") for name in ("model", *FRAMEWORKS)),
         "storageUri and storageUris exclude each other"),
    Rule("storageUris", _strewn, "{}: the mountPaths have no folder in common below /"),
)  # fmt: skip
_PREDICTOR = (
    *(Rule(name, the.is_set(name), f"the field `{name}` is the old form",
           f"model: {{modelFormat: {{name: {name}}}, protocolVersion: v2, storageUri: …}}",
           "it says nothing about the protocol, and no runtime is found by it in newer releases",
           "warning") for name in FRAMEWORKS),
    Rule("autoScaling", lambda p, r: p.get("autoScaling") and r.note(SCALER) != "keda",
         "only KEDA reads it", f"{SCALER}: keda", "it is ignored"),
    the.between("canaryTrafficPercent", 0, 100, "{} is no share: 0 to 100", "Knative refuses the route"),
    Rule("canaryTrafficPercent",
         lambda p, r: p.get("canaryTrafficPercent") is not None and mode_of(r) == "Standard",
         "Standard mode has no canary",
         "a second InferenceService and a VirtualService or HTTPRoute with weights",
         "it is ignored, and everything goes to the new version at once"),
)  # fmt: skip
_MODEL = (
    Rule("", lambda m, _: m.place[-1] == "model" and not m.get("modelFormat", "name"),
         "no modelFormat with a name", "modelFormat: {name: …}", "KServe finds a runtime by it"),
    the.one_of("protocolVersion", *_PROTOCOLS, why="KServe finds no runtime that speaks it"),
    Rule("name", lambda m, _: m.text("name"), "a standard predictor has no `name`",
         "leave it out: KServe gives it one"),
    Rule("storageUri", lambda m, _: "://" in (uri := m.text("storageUri"))
         and uri.partition("://")[0] not in _STORED, "{}: no storage that KServe knows by itself", "",
         "refused, unless a ClusterStorageContainer of yours takes it", "warning"),
    Rule("confidential", lambda m, _: m.get("confidential", "enabled") is True
         and not m.text("storageUri"), "what is encrypted needs a storageUri"),
)  # fmt: skip
_SEVERAL_NODES = (
    Rule("workerSpec containers", lambda w, _: len(w.items("workerSpec", "containers")) > 1,
         "several containers: a worker has one"),
    *(the.at_least(f"workerSpec {key}", 1) for key in _PARALLEL),
)  # fmt: skip
_SPREAD_MODEL = (
    Rule("storageUri", _no_shared_storage, "{}: on several nodes a model comes from pvc:// or oci://"),
    Rule("resources", _no_gpu, "{} is no GPU that KServe knows",
         "serving.kserve.io/gpu-resource-types: '[…]'"),
    Rule("", lambda m, r: m.place[-1] == "model" and r.note(SCALER) != "none",
         "a model on several nodes isn't scaled", f"{SCALER}: none"),
)  # fmt: skip
TABLE: Table = (
    (the.kind(ISVC), "", _WHOLE),
    (the.kind(ISVC), the.refused("validateInferenceServiceName"), (NAME,)),
    (components, the.refused("Validate, validateExactlyOneImplementation"), _COMPONENT),
    (the.below(components, "storageUris *"), the.refused("validateStorageURISpec"),
     (the.value("mountPath", str, lambda path: path.startswith("/") and path != "/" and ".." not in path,
                "'{}': an absolute path below / without '..' is asked for"),)),
    (predictors, "", _PREDICTOR),
    (models, the.refused("validatePredictor, validateConfidential"), _MODEL),
    (_custom_variables, the.refused("validateCustomProtocol"), (
        Rule("value", lambda v, _: v.get("name") == "PROTOCOL" and v.get("valueFrom") is None
             and v.text("value") not in ("v1", "v2") and (v.text("value") or "nothing"),
             "'{}' is none of v1, v2"),
    )),
    (containers, the.refused("validateCollocationStorageURI"),
     (Rule("env", lambda c, _: c.get("name") == "transformer-container"
           and "STORAGE_URI" in [one.get("name") for one in c.parts("env")],
           "STORAGE_URI is for the predictor's container alone"),)),
    (the.below(containers, "env *"), the.refused("validateBlockedEnvVars"),
     (Rule("name", _has("PYTHONPATH"), "{} may not be set", "a path in the image itself"),)),
    (workers, the.refused("validateMultiNodeVariables"), _SEVERAL_NODES),
    (spread_models, the.refused("validateMultiNodeVariables"), _SPREAD_MODEL),
    (the.below(spread_models, "env *"), the.refused("validateMultiNodeVariables"),
     (Rule("name", _has("PIPELINE_PARALLEL_SIZE", "TENSOR_PARALLEL_SIZE"), "{} may not be set",
           "pipelineParallelSize and tensorParallelSize of workerSpec"),)),
    (the.where(predictors, lambda r: mode_of(r) == "Knative"), "", (
        Rule("containers", _many_ports, "{} ports", why="Knative allows one"),
    )),
)  # fmt: skip
