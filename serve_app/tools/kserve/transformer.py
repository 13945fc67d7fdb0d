"""A transformer: a class in the place of its container, before and behind the model. And back."""

from collections.abc import Callable, Mapping
from typing import Any

import yaml

import serve_app
from serve_app.tools.kserve import arguments, loggers, own
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Service
from serve_app.tools.kube.documents import get

BESIDE = "transformer-container"  # its name where it is in the predictor's pod
_HERE = "a transformer runs in the Routers, beside the models that are inside"
_NO_CLASS = "no transformer's container runs here"
_FIX = f'the annotation {own.TRANSFORMER}: "class: my.module:MyClass", or leave it on KServe'
_OWN_KEYS = ("class", "options", "loadTimeout", "hangAfter", "revision")


def read(service: Service) -> None:
    """Put it into the service, whose model then is called as its predictor is on KServe."""
    root = service.root
    notes, part = root.at("metadata", "annotations"), root.at("spec", "transformer")
    note = notes.at(own.TRANSFORMER)
    beside = [
        one for one in root.at("spec", "predictor").each("containers") if one.get("name") == BESIDE
    ]
    if not part and not beside:
        if note:
            note.wrong("there is no transformer", "nothing runs the class", "spec.transformer")
        return
    entry = own.entry(notes, own.TRANSFORMER)
    if not isinstance(entry.get("class"), str):
        if note:
            note.wrong("names no class", fix="class: my.module:MyClass")
        for one in (part, *beside):
            one.refuse(_NO_CLASS, "answers would be others than KServe's", _FIX)
        return
    note.carry()
    for key in entry:
        if key not in _OWN_KEYS:
            note.wrong(f"`{key}` isn't of a transformer", fix=", ".join(_OWN_KEYS))
    if not service.models:
        return
    name = service.answers_as
    found = {"name": name, **entry, "predictor": f"{name}-predictor"}
    boxes = [*part.each("containers"), *beside]
    if part:
        _pods(part, service, name)
    for index, box in enumerate(boxes):
        if index:
            box.warn("its container isn't run", "the class is the transformer")
        else:
            _container(box, found)
    for model in service.models:
        if str(model.entry.get("model") or model.entry.get("name") or model.name) == name:
            model.entry["name" if model.inline else "model"] = found["predictor"]
    service.transformer = found


def _pods(part: Field, service: Service, name: str) -> None:
    for one in part.inner():
        if one.key == "logger":
            loggers.read(one, service, name, "transformer")
        elif one.key != "containers":
            one.note(f"`{one.key}` has no place here", _HERE)


def _container(box: Field, entry: dict[str, Any]) -> None:
    if not box.get("args"):
        box.at("args").carry()
    for said in arguments.parse(box):
        if said.name == "model_name" and said.value:
            said.carry()
            entry["name"] = said.value
        elif said.name in ("predictor_protocol", "protocol") and said.value in ("v1", "v2", "grpc-v2"):
            said.carry()
            entry["predictorProtocol"] = said.value
        else:
            said.note("an argument of the container's own program", f"`options` in {own.TRANSFORMER}")
    box.at("env").warn("not set", "the Router's process is everybody's: `options` takes values")
    for one in box.inner():
        if one.key not in ("args", "env"):
            one.note(f"`{one.key}` has no place here", _HERE)


def back(
    router: Mapping[str, Any], services: Mapping[str, dict[str, Any]], models: dict[str, str],
    image: str, say: Callable[[str, str], None],
) -> None:  # fmt: skip
    """Put those of a Router into the InferenceServices of their models. `models`: these by name, to
    which the transformers' are added."""
    for entry in router.get("transformers") or []:
        name, predictor = str(entry.get("name")), str(entry.get("predictor"))
        service = services.get(models.get(predictor, ""))
        if service is None or get(service, "spec", "predictor") is None:
            say("Router", f"transformer '{name}' is around no model of an InferenceService")
            continue
        if get(service, "metadata", "name") == predictor:  # of a model inside the Router
            service["metadata"]["name"] = name
        called = get(service, "metadata", "name")
        _rename(service["spec"]["predictor"], predictor, "" if name == called else name)
        models[name] = called
        args = [] if name == called else [f"--model_name={name}"]
        if protocol := entry.get("predictorProtocol"):
            args.append(f"--predictor_protocol={protocol}")
        if not image:
            say(name, "a class runs in an image of yours on KServe: --image names it")
        box: dict[str, Any] = {}
        if args:
            box["args"] = args
        box |= {"name": "kserve-container", "image": image or f"tandem:{serve_app.__version__}"}
        service["spec"]["transformer"] = {"containers": [box]}
        said = {key: entry[key] for key in _OWN_KEYS if entry.get(key)}
        notes = service["metadata"].setdefault("annotations", {})
        notes[own.TRANSFORMER] = yaml.safe_dump(said, sort_keys=False, allow_unicode=True)


def _rename(predictor: dict[str, Any], old: str, name: str) -> None:
    """The model, in the arguments of its server, as the transformer is called."""
    box: dict[str, Any] = predictor.get("model") or next(iter(predictor.get("containers") or []), {})
    args = [one for one in box.get("args") or [] if one != f"--model_name={old}"]
    args = ([f"--model_name={name}"] if name else []) + args
    if args:
        box["args"] = args
    else:
        box.pop("args", None)
