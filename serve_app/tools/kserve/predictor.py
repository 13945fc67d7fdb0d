"""A predictor's model: its format, where it lies, what serves it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serve_app.config import did_you_mean, meant
from serve_app.errors import ConfigError
from serve_app.repository.storage import local_path
from serve_app.tools.kserve import arguments, container, formats, own, storage, tabular
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model, Pods
from serve_app.tools.kube.documents import Document, get, items

_PROTOCOLS = ("v1", "v2", "grpc-v1", "grpc-v2")
_MORE = "modelFormat and others in the annotation tandem/model"
_NO_RUNTIME = "Tandem can't run it"
# Files by which a model's format is known, where KServe leaves that to Triton.
_BY_FILE = {
    "model.onnx": "onnx",
    "model.pt": "torch",
    "model.pt2": "torch",
    "config.json": "huggingface",
}


def read(part: Field, model: Model, pods: Pods, notes: Field, beside: Sequence[Document]) -> bool:
    """`part`'s model into `model` and `pods`; whether there is one."""
    if not (one := part.at("model")):
        return custom(part, model, pods, notes, beside)
    said = list(arguments.parse(one))
    storage.locate(one, part, model, beside)
    _of_the_hub(said, one, model)
    _format(one, model, said, own.entry(notes), beside)
    _server(one, beside)
    arguments.apply(said, model)
    container.read(one, model, pods, _engine_gpus(model))
    tabular.as_there(one, model)
    own.read(notes, model)
    for other in part.each("containers"):
        _sidecar(other, pods)
    for name in formats.OLD_STYLE:
        if part.at(name):
            part.at(name).wrong("a second predictor", "KServe takes exactly one", "`model` alone")
    return True


def _sidecar(one: Field, pods: Pods) -> None:
    if one.get("name") == "transformer-container":
        return  # `transformer` reads it
    if one.get("name") == "kserve-container":
        one.wrong("a second predictor", "KServe takes exactly one", "`model` or `containers`")
    else:
        pods.spec.setdefault("containers", []).append(one.carry())


def _format(one: Field, model: Model, said: list[Any], more: Any, beside: Sequence[Document]) -> None:
    name, version = one.at("modelFormat", "name"), one.at("modelFormat", "version")
    text = name.of(str)
    version.note("the version of a format is the file's own")
    if more.get("modelFormat"):
        name.note("the annotation tandem/model says what runs it")
        return
    if not text:
        return
    if text.lower() == "triton":
        text = _of_triton(name, model)
        if not text:
            return
    found = formats.known(text)
    if found is None:
        own_runtime = one.get("runtime") or any(text in _supported(other) for other in beside)
        why = (
            "its ServingRuntime is KServe's: its container isn't run here"
            if own_runtime
            else "KServe finds no runtime for it"
        )
        name.wrong(
            f"no format '{text}' is known{did_you_mean(text, formats.names())}", why,
            _MORE if own_runtime else meant(text, formats.names()),
        )  # fmt: skip
        return
    if not found.runtime:
        name.refuse(f"{text}: {found.why}", _NO_RUNTIME, found.fix)
        return
    name.carry()
    model.put("modelFormat", found.runtime, name)
    if found.runtime == "transformers" and not get(more, "options", "task"):
        _task(one, model, said)
    if found.runtime == "python" and not more.get("class"):
        name.wrong("a class is run, and none is named", fix="`class: module:Class` in tandem/model")


def _of_triton(name: Field, model: Model) -> str:
    """What the files are, where they are on this machine; '' and said where they aren't known."""
    folder = _folder(model)
    for one in sorted(folder.rglob("*")) if folder else ():
        if one.name in _BY_FILE:
            name.note(f"{one.relative_to(folder or one)} says what it is: {_BY_FILE[one.name]}")
            return _BY_FILE[one.name]
    name.refuse(
        "`triton` leaves open which of its formats the model has", _NO_RUNTIME,
        "modelFormat: {name: onnx} or {name: pytorch}, and storageUri: the folder of this one model",
    )  # fmt: skip
    return ""


def _folder(model: Model) -> Path | None:
    uri = model.entry.get("storageUri")
    try:
        folder = local_path(uri) if uri else None
    except ConfigError:
        return None
    return folder if folder is not None and folder.is_dir() else None


def _of_the_hub(said: list[Any], one: Field, model: Model) -> None:
    """`--model_id`, which huggingfaceserver loads instead of a storage."""
    name, revision = arguments.find(said, "model_id"), arguments.find(said, "model_revision")
    if name and "storageUri" not in model.entry:
        model.put("storageUri", f"hf://{name}" + (f"@{revision}" if revision else ""), one.at("args"))


def _task(one: Field, model: Model, said: list[Any]) -> None:
    """Which task, and by that whether it is an engine's."""
    text, backend = arguments.find(said, "task"), arguments.find(said, "backend")
    place = next((a.places[-1] for a in said if a.name == "task"), one.at("modelFormat", "name"))
    if text is None:
        text = _inferred(model)
        if text is None:
            text = "text_generation"
            place.note(
                "no --task, and the model isn't on this machine: taken for text_generation",
                "KServe reads it off the model's config.json", "--task=text_embedding, say",
            )  # fmt: skip
    task = formats.TASKS.get(text)
    if text in formats.NO_TASKS:
        own_task = formats.OWN_TASKS.get(text)
        fix = f"options: {{task: {own_task}}} in tandem/model" if own_task else "leave it on KServe"
        place.refuse(f"no task '{text}' here", formats.NO_TASKS[text], fix)
    elif task is None:
        place.wrong(f"the task '{text}' has no runtime{did_you_mean(text, formats.TASKS)}", _NO_RUNTIME)
    elif task:
        model.inner("options", "task", task, place)
        if one.text("modelFormat", "name").lower() == "huggingface":
            arguments.as_there(said, model)
        if backend == "vllm":
            place.note("Transformers runs it, not vLLM")
    else:
        model.put("modelFormat", "vllm", place)
        if backend == "huggingface":
            place.note("vLLM generates texts, not Transformers")


def _inferred(model: Model) -> str | None:
    """From the files, as KServe does; None where they aren't here."""
    folder = _folder(model)
    config = folder / "config.json" if folder else None
    if config is None or not config.is_file():
        return None
    try:
        about = json.loads(config.read_bytes())
    except (OSError, ValueError):
        return None
    found = items(about, "architectures")
    name = str(found[0]) if found else ""
    ends = [task for end, task in formats.ARCHITECTURES.items() if name.endswith(end)]
    return ends[0] if ends else "text_embedding"


def _server(one: Field, beside: Sequence[Document]) -> None:
    """What KServe serves it with: which protocols, which server."""
    protocol, runtime = one.at("protocolVersion"), one.at("runtime")
    text = protocol.of(str)
    if text == "grpc-v1":
        protocol.refuse(
            "gRPC of V1 (TensorFlow Serving's) isn't spoken", "its clients get no answer", "v1, grpc-v2"
        )
    elif text is not None and text not in _PROTOCOLS:
        protocol.wrong(f"no protocol '{text}'{did_you_mean(text, _PROTOCOLS)}", "KServe refuses it")
    else:
        protocol.note("V1, V2 over HTTP and V2 over gRPC are spoken, whichever is asked for")
    if name := runtime.of(str):
        here = [other for other in beside if other.name == name and _supported(other)]
        what = "is in this file" if here else "is KServe's"
        runtime.note(f"the runtime `{name}` {what}: Tandem has its own", "its container isn't run")
    one.at("runtimeVersion").note("the version of KServe's server; Tandem's are those of its image")


def _supported(one: Document) -> list[str]:
    """The formats that a runtime of the file is for."""
    if one.kind not in ("ServingRuntime", "ClusterServingRuntime"):
        return []
    return [str(get(each, "name")) for each in items(one.data, "spec", "supportedModelFormats")]


def _engine_gpus(model: Model) -> float | None:
    if model.format != "vllm":
        return None
    engine = model.entry.get("engine", {})
    sizes = [engine.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline")]
    found = 1
    for size in sizes:
        found *= size if isinstance(size, int) else 1
    return found


def custom(
    part: Field, model: Model, pods: Pods, notes: Field, beside: Sequence[Document],
    annotation: str = own.MODEL,
) -> bool:  # fmt: skip
    """A container of one's own: Tandem runs a class in its place, if one is named."""
    boxes = list(part.each("containers"))
    if not boxes:
        return False
    main = container.main_of(boxes)
    for other in boxes:
        if other.place != main.place:
            _sidecar(other, pods)
    container.replaced(main, model, pods)
    entry = own.entry(notes, annotation)
    if not entry.get("class") and not entry.get("modelFormat"):
        main.refuse(
            "a container of one's own isn't run", "Tandem loads models and classes, not images",
            f'the annotation {annotation}: "class: my.module:Class", or leave it on KServe and let '
            "Tandem ask it",
        )  # fmt: skip
        return True
    model.put("modelFormat", "python", main)
    own.read(notes, model, annotation)
    return True
