"""An LLMInferenceService's simple cases: one engine, or several alike, behind the Router."""

from collections.abc import Sequence

from serve_app.tools.kserve import arguments, container, metadata, own, pods, storage
from serve_app.tools.kserve.ledger import Field, Ledger
from serve_app.tools.kserve.service import Model, Service
from serve_app.tools.kube.documents import Document

_ROUTED = "Tandem's Router is the way in, by OpenAI's protocol"
_PARALLEL = {"tensor": "tensor_parallel_size", "pipeline": "pipeline_parallel_size"}
_SCALED = "Serve counts the requests in flight for each engine"


def read(document: Document, beside: Sequence[Document]) -> Service:
    """What is wrong is in the service's ledger."""
    service = Service(document, Ledger())
    root, model = service.root, Model(document.name, {"modelFormat": "vllm"})
    notes, spec = root.at("metadata", "annotations"), root.at("spec")
    root.at("apiVersion").carry()
    root.at("kind").carry()
    root.at("status").note("what KServe's controller saw")
    if refs := spec.at("baseRefs"):
        refs.warn("not read: an LLMInferenceServiceConfig isn't followed", fix="its fields in this file")
    _model(spec.at("model"), model, beside)
    _workload(spec, service, model)
    spec.at("prefill").warn(
        "prefill and decode aren't apart", "each engine does both, and answers the same",
        "`replicas` for as many engines as both had",
    )  # fmt: skip
    spec.at("worker").refuse(
        "one engine over several pods", "Ray places one of a node",
        "an LLMInferenceService without `worker`, with tensor and pipeline sizes",
    )  # fmt: skip
    _router(spec.at("router"), model)
    for name in ("storageInitializer", "tracing"):
        spec.at(name).warn(f"`{name}` isn't read", "models are fetched by Tandem, traces are Tandem's")
    own.read(notes, model)
    metadata.read(root.at("metadata"))
    service.models.append(model)
    for one in spec.inner():
        if not service.ledger.fate(one.place) and one.data not in (None, {}, []):
            _leftover(one)
    return service


def _leftover(one: Field) -> None:
    if one.key not in ("model", "parallelism", "scaling", "template", "router"):
        one.warn("not a field that is read")


def _model(one: Field, model: Model, beside: Sequence[Document]) -> None:
    if one.of(dict) is None:
        one.wrong("no `model`", "there is nothing to run", "model: {uri: hf://OWNER/NAME}")
        return
    uri = Field(one.place, {"storageUri": one.get("uri")}, one.ledger)
    storage.locate(uri, Field((), None, one.ledger), model, beside)
    # It is called `uri` here.
    for found in list(one.ledger.carried):
        if found == (*one.place, "storageUri"):
            one.ledger.carried.remove(found)
            one.at("uri").carry()
            model.origin[("storageUri",)] = one.at("uri").place
    if name := one.at("name").take(str):
        model.put("model", name.rpartition("/")[2], one.at("name"))
        if "/" in name:
            one.at("name").note(f"requests name `{model.entry['model']}`: a name holds no /")
    one.at("criticality").note("a priority is told by each request")
    lora = one.at("lora")
    adapters = []
    for each in lora.each("adapters"):
        if each.text("name") and each.text("uri"):
            adapters.append({"name": each.at("name").carry(), "path": each.at("uri").carry()})
        for other in each.inner():
            if not one.ledger.fate(other.place):
                other.warn("not read of an adapter")
    if adapters:
        model.inner("engine", "enable_lora", True, lora)
        model.inner("engine", "lora_modules", adapters, lora)
    for key, engine in (("maxRank", "max_lora_rank"), ("maxAdapters", "max_loras"),
                        ("maxCpuAdapters", "max_cpu_loras")):  # fmt: skip
        if number := lora.at(key).take(int):
            model.inner("engine", engine, number, lora.at(key))


def _workload(spec: Field, service: Service, model: Model) -> None:
    for size in spec.at("parallelism").inner():
        name = _PARALLEL.get(size.key)
        if name and size.take(int):
            model.inner("engine", name, size.data, size)
        elif not name and size.data not in (1, False, None):
            size.refuse(
                f"`{size.key}` parallelism: one engine over several pods", "Ray places one of a node",
                "tensor and pipeline sizes, or `replicas`",
            )  # fmt: skip
        elif not name:
            size.carry()
    template = spec.at("template")
    boxes = list(template.each("containers"))
    main = next((one for one in boxes if one.get("name") == "main"), boxes[0] if boxes else None)
    if main is not None:
        main.at("name").carry()
        arguments.apply(list(arguments.parse(main)), model)
        engine = model.entry.get("engine", {})
        gpus = 1
        for name in _PARALLEL.values():
            gpus *= engine.get(name, 1) if isinstance(engine.get(name, 1), int) else 1
        container.read(main, model, service.pods, gpus)
    for one in boxes:
        if main is None or one.place != main.place:
            service.pods.spec.setdefault("containers", []).append(one.carry())
    pods.read(template, service.pods)
    for one in template.inner():
        if one.key != "containers" and not spec.ledger.fate(one.place):
            one.warn("not a field of a pod that is carried")
    service.pods.labels.update(spec.at("labels").take(dict) or {})
    service.pods.annotations.update(spec.at("annotations").take(dict) or {})
    spec.at("rolloutStrategy").note("Serve starts new replicas before old ones end")
    _replicas(spec, model)


def _replicas(spec: Field, model: Model) -> None:
    number, scaling = spec.at("replicas"), spec.at("scaling")
    if (count := number.take(int)) is not None and not scaling:
        if count == 0:
            number.warn("0 replicas never answer: there is one at most, while it is asked")
            model.put("autoscaling", {"minReplicas": 0, "maxReplicas": 1}, number)
        elif count != 1:
            model.put("replicas", count, number)
    most = scaling.at("maxReplicas").take(int)
    if most:
        least = scaling.at("minReplicas").take(int)
        low = 1 if least is None else least
        model.put("autoscaling", {"minReplicas": low, "maxReplicas": max(low, most)}, scaling)
        number.note("`scaling` says how many")
    for one in scaling.inner():
        if not spec.ledger.fate(one.place):
            one.warn("replicas aren't counted by it", _SCALED)


def _router(router: Field, model: Model) -> None:
    scheduler = router.at("scheduler")
    if scheduler:
        model.put("llm", {"routing": "prefix"}, scheduler)
        scheduler.note(
            "no scheduler's pods: requests go to the engine that has seen their beginning",
            fix="llm: {routing: balanced} in the annotation tandem/model for the least busy one",
        )
    for one in router.inner():
        if one.key != "scheduler":
            one.note("no route of the gateway's is made", _ROUTED)
