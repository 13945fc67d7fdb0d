"""KServe's resources, beyond their schemas (KServe 0.20)."""

from collections.abc import Iterator

from serve_app.config import did_you_mean
from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Place, Problem

_MODE = "serving.kserve.io/deploymentMode"
_SCALER = "serving.kserve.io/autoscalerClass"
_MODES = ("Standard", "Knative", "ModelMesh")
_OLD_MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
_SCALERS = ("hpa", "keda", "external", "none")
_OLD_PREDICTORS = (
    "tensorflow", "sklearn", "xgboost", "pytorch", "onnx", "triton", "lightgbm", "paddle", "pmml",
    "huggingface",
)  # fmt: skip


def check(document: Document) -> Iterator[Problem]:
    """All rules of the kind."""
    if document.kind == "InferenceService":
        yield from _annotations(document)
        yield from _predictor(document)
    elif document.kind == "InferenceGraph":
        yield from _graph(document)


def _annotations(document: Document) -> Iterator[Problem]:
    notes = get(document.data, "metadata", "annotations") or {}
    mode, scaler = notes.get(_MODE), notes.get(_SCALER)
    place: Place = ("metadata", "annotations")
    if mode in _OLD_MODES:
        new = _OLD_MODES[mode]
        yield Problem(
            (*place, _MODE), f"{mode} is called {new} now", fix=f"{_MODE}: {new}", severity="warning"
        )
    elif mode is not None and mode not in _MODES:
        hint = did_you_mean(str(mode), _MODES)
        yield Problem((*place, _MODE), f"'{mode}' is no deployment mode{hint}")
    if scaler is not None and scaler not in _SCALERS:
        hint = did_you_mean(str(scaler), _SCALERS)
        yield Problem((*place, _SCALER), f"'{scaler}' is no autoscaler class{hint}")
    if scaler in ("keda", "hpa") and mode in ("Knative", "Serverless"):
        yield Problem(
            (*place, _SCALER),
            f"{scaler} with mode {mode}",
            "Knative scales by itself, and the class is ignored",
            f"{_MODE}: Standard",
        )
    if scaler != "keda" and get(document.data, "spec", "predictor", "autoScaling"):
        yield Problem(
            ("spec", "predictor", "autoScaling"),
            "only KEDA reads it",
            "it is ignored",
            f"{_SCALER}: keda",
        )


def _predictor(document: Document) -> Iterator[Problem]:
    spec = document.data.get("spec")
    if get(spec, "default") is not None:
        yield Problem(
            ("spec", "default"),
            "v1alpha2's form",
            "v1beta1 knows `predictor`, with the traffic of a canary in it",
            "spec: {predictor: {canaryTrafficPercent: …, model: {…}}}",
        )
    predictor = get(spec, "predictor")
    if not isinstance(predictor, dict):
        return
    place: Place = ("spec", "predictor")
    for name in _OLD_PREDICTORS:
        if name in predictor:
            yield Problem(
                (*place, name),
                f"the field `{name}` is the old form",
                "it says nothing about the protocol, and no runtime is found by it in newer releases",
                f"model: {{modelFormat: {{name: {name}}}, protocolVersion: v2, storageUri: …}}",
                "warning",
            )
    if not any(key in predictor for key in ("model", "containers", "workerSpec", *_OLD_PREDICTORS)):
        yield Problem(place, "neither `model` nor `containers`", "there is nothing to run")
    least, most = predictor.get("minReplicas"), predictor.get("maxReplicas")
    if isinstance(least, int) and isinstance(most, int) and least > most > 0:
        yield Problem(
            (*place, "minReplicas"), f"{least} is more than maxReplicas {most}", "KServe refuses it"
        )
    notes = get(document.data, "metadata", "annotations") or {}
    knative = notes.get(_MODE) in ("Knative", "Serverless")
    if predictor.get("canaryTrafficPercent") is not None and notes.get(_MODE) in (
        "Standard",
        "RawDeployment",
    ):
        yield Problem(
            (*place, "canaryTrafficPercent"),
            "Standard mode has no canary",
            "it is ignored, and everything goes to the new version at once",
            "a second InferenceService and a VirtualService or HTTPRoute with weights",
        )
    for index, container in enumerate(get(predictor, "containers") or []):
        ports = get(container, "ports") or []
        if knative and len(ports) > 1:
            yield Problem(
                (*place, "containers", index, "ports"), f"{len(ports)} ports", "Knative allows one"
            )


def _graph(document: Document) -> Iterator[Problem]:
    nodes = get(document.data, "spec", "nodes")
    if not isinstance(nodes, dict):
        return
    if "root" not in nodes:
        yield Problem(("spec", "nodes"), "no node `root`", "a graph begins there")
    for name, node in nodes.items():
        steps = get(node, "steps") or []
        for index, step in enumerate(steps):
            target = get(step, "nodeName")
            if target is not None and target not in nodes:
                yield Problem(
                    ("spec", "nodes", name, "steps", index, "nodeName"),
                    f"no node '{target}'{did_you_mean(str(target), nodes)}",
                )
        weights = [get(step, "weight") for step in steps]
        if (
            get(node, "routerType") == "Splitter"
            and sum(w for w in weights if isinstance(w, int)) != 100
        ):
            yield Problem(
                ("spec", "nodes", name, "steps"), f"the weights {weights} are not 100 together"
            )
