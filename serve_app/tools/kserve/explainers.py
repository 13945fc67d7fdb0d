"""An InferenceService's `explainer`, and back.

KServe runs a container there: ART's, or one of the user's own. Tandem runs what the annotation
`tandem/explainer` says: keys of an application that explains, such as a class. So one file is for both.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import yaml

from serve_app.tools.kserve import back_pods, container, loggers, own, pods, scaling
from serve_app.tools.kserve.back_predictor import predictor_of
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model, Pods, Service
from serve_app.tools.kube.documents import get

EXPLAINER = "tandem/explainer"
_FIX = (
    f'the annotation {EXPLAINER}: "explainer: {{method: lime, kind: text}}", or "class: my.module:Class"'
)
_SCALED = ("replicas", "autoscaling", "resources", "concurrency")


def read(root: Field, service: Service) -> None:
    """An application beside the model's, where the annotation says what explains."""
    part, note = root.at("spec", "explainer"), root.at("metadata", "annotations", EXPLAINER)
    if not note or not service.models:
        part.warn("no explainer's container runs here", ":explain is answered with 501", _FIX)
        return
    notes = root.at("metadata", "annotations")
    model = Model(f"{service.name}-explainer")
    # What clients ask: with a transformer, what is around the model.
    front = service.transformer.get("name") if service.transformer else None
    model.put("explains", front or service.answers_as, note)
    if part.of(dict) is not None:
        _component(part, model, service.pods)
        loggers.read(part.at("logger"), service, model.name, "explainer")
    own.read(notes, model, EXPLAINER)
    if "class" in model.entry and "modelFormat" not in model.entry:
        model.put("modelFormat", "python", note)
    service.models.append(model)


def _component(part: Field, model: Model, group: Pods) -> None:
    """What it says of its container, its pods and its replicas."""
    own_pods = Pods()
    boxes = list(part.each("containers"))
    for box in boxes:
        if box.place == container.main_of(boxes).place:
            container.replaced(box, model, own_pods)
        else:
            box.warn("not run", "Tandem runs what the annotation says")
    part.at("art").note("ART's own server isn't run", "Tandem runs what the annotation says")
    most = part.at("containerConcurrency")
    if (number := most.of(int)) is not None and number > 0:
        model.put("concurrency", most.carry(), most)
    most.note("no limit: explanations wait in the Router until a replica is free for them")
    scaling.scale(part, Field((), None, part.ledger), model)
    pods.read(part, own_pods)
    part.at("timeout").note("the predictor's holds for explanations, too")
    part.at("batcher").note("explanations are made one request at a time")
    if own_pods.spec != group.spec or own_pods.container != group.container:
        part.note("its pods are those of the predictor", "one RayService's group of workers")
    for other in part.inner():
        if other.key != "containers" and not part.ledger.fate(other.place):
            other.note("no field of an explainer that is read here")


def explains(app: Mapping[str, Any]) -> str:
    """The model that an application explains; ''."""
    return str((app.get("args") or {}).get("explains") or "")


def back(
    apps: Mapping[str, Mapping[str, Any]], services: Sequence[dict[str, Any]], image: str,
    say: Callable[[str, str], None],
) -> None:  # fmt: skip
    """Each into the service of the model that it explains."""
    by_model = {one["metadata"]["name"]: one for one in services}
    by_model |= {_answers_as(one): one for one in services}
    for name, app in apps.items():
        service = by_model.get(explains(app))
        if service is None or "explainer" in service["spec"]:
            say(name, f"it explains '{explains(app)}', which has no service here that is without one")
        else:
            _put(name, app, service, image, partial(say, service["metadata"]["name"]))


def _answers_as(service: Mapping[str, Any]) -> str:
    words = get(service, "spec", "predictor", "model", "args") or []
    said = [word.partition("=")[2] for word in words if word.startswith("--model_name=")]
    return str(said[0] if said else service["metadata"]["name"])


def _put(
    name: str, app: Mapping[str, Any], service: dict[str, Any], image: str, say: Callable[[str], None]
) -> None:
    entry = {key: value for key, value in app["args"].items() if key not in ("explains", "placement")}
    scaled = {key: entry.pop(key) for key in _SCALED if key in entry} | {"modelFormat": "python"}
    if "class" in entry:
        entry.pop("modelFormat", None)
    service["spec"]["explainer"] = predictor_of(scaled, app, back_pods.Pods(), {}, "", image, say)
    notes = service["metadata"].setdefault("annotations", {})
    notes[EXPLAINER] = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True)
    say(f"KServe doesn't read what explains: in the annotation {EXPLAINER}")
    if name != (wanted := f"{service['metadata']['name']}-explainer"):
        say(f"coming back, its application is called {wanted}")
