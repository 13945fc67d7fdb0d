"""What configs/kserve holds, and what KServe makes of it."""

import json
from typing import Any

import yaml

from loadtests import hosted
from tests.package.crd import ROOT
from tests.package.tracked import tracked

CONFIG = "configs/bench.yaml"
MOUNT = "/mnt/models"  # where KServe puts what storageUri names
MANIFESTS = {path.stem: yaml.safe_load(path.read_text()) for path in tracked("configs/kserve/*.yaml")}
RUNTIME = MANIFESTS["runtime"]
SERVICES = {
    name: manifest for name, manifest in MANIFESTS.items() if manifest["kind"] == "InferenceService"
}
MODELS = {model.name: model for model in hosted.configs(yaml.safe_load((ROOT / CONFIG).read_text()))}


def predictor(name: str) -> dict[str, Any]:
    return SERVICES[name]["spec"]["predictor"]


def from_runtime(name: str, model: dict[str, Any]) -> dict[str, Any]:
    """As KServe merges a runtime's container and an InferenceService's `model`."""
    (base,) = RUNTIME["spec"]["containers"]
    own = {"modelFormat", "runtime", "protocolVersion", "storageUri"}
    merged = {**base, **{key: value for key, value in model.items() if key not in own}}
    merged["args"] = [*base["args"], *model.get("args", [])]
    return json.loads(json.dumps(merged).replace("{{.Name}}", name))


def container(name: str) -> dict[str, Any]:
    """What runs in the pod."""
    if "model" in predictor(name):
        return from_runtime(name, predictor(name)["model"])
    (only,) = predictor(name)["containers"]
    return only
