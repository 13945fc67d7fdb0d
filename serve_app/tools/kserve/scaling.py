"""How many replicas, and by what they are counted; how many requests each takes, and how long."""

from serve_app.config.remote import ENGINE_CONCURRENCY
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model, Service

_KNATIVE = "autoscaling.knative.dev/"
# Knative reads them where KServe's own fields say nothing.
_LEAST = ("min-scale", "minScale")
_MOST = ("max-scale", "maxScale")
_OTHER_METRICS = {
    "rps": "requests per second",
    "cpu": "CPU time",
    "memory": "memory",
}
_BY_CONCURRENCY = "Serve counts the batches in flight for each replica, and nothing else"
_DEFAULT_BATCH, _DEFAULT_LATENCY = 32, 5000  # KServe's agent's, where nothing is said


def scale(part: Field, notes: Field, model: Model) -> None:
    """minReplicas to scaleTarget of a component, and what annotations say instead."""
    least, most = part.at("minReplicas"), part.at("maxReplicas")
    low, high = _number(least), _number(most)
    low = _noted(notes, _LEAST) if low is None else low
    high = high or _noted(notes, _MOST)
    low = 1 if low is None else max(low, 0)
    source = most if most else least
    if not high and low:
        if low != 1:
            model.put("replicas", low, least)
        if _knative(notes):
            least.at().note(
                f"no maxReplicas: Knative scales without an end, and here there are {low}",
                fix=f"maxReplicas: {low * 4}",
            )
    elif high == low:
        model.put("replicas", low, source)
    else:
        if not high:
            least.warn("0 without maxReplicas: there is 1 at most", fix="maxReplicas: 4")
        high = max(high or 1, low)
        model.put("autoscaling", {"minReplicas": low, "maxReplicas": high}, source)
    _target(part, notes, model)


def _number(one: Field) -> int | None:
    found: int | None = one.take(int)
    return found


def _noted(notes: Field, names: tuple[str, ...]) -> int | None:
    for name in names:
        one = notes.at(_KNATIVE + name)
        if isinstance(one.data, str) and one.data.isdecimal():
            return int(one.carry())
    return None


def _knative(notes: Field) -> bool:
    return notes.get("serving.kserve.io/deploymentMode") in ("Knative", "Serverless")


def _target(part: Field, notes: Field, model: Model) -> None:
    target, metric = part.at("scaleTarget"), part.at("scaleMetric")
    name = metric.of(str)
    if name is None:
        standard = notes.get("serving.kserve.io/deploymentMode") in ("Standard", "RawDeployment")
        name = "cpu" if standard and not notes.get(_KNATIVE + "metric") else "concurrency"
        said = notes.at(_KNATIVE + "metric")
        if said and said.data != "concurrency":
            said.warn(f"replicas aren't counted by {said.data}", _BY_CONCURRENCY)
            name = str(said.data)
        elif said:
            said.carry()
    elif name == "concurrency":
        metric.carry()
    if name in _OTHER_METRICS and metric:
        metric.warn(
            f"replicas aren't counted by {_OTHER_METRICS[name]}",
            _BY_CONCURRENCY,
            "scaleMetric: concurrency, with a scaleTarget",
        )
    if not target:
        target = notes.at(_KNATIVE + "target")
    number = target.data if isinstance(target.data, int) else _decimal(target.data)
    if number is None:
        if target:
            target.of(int)
        return
    if name != "concurrency":
        target.warn(f"{number} of {_OTHER_METRICS.get(name, name)} is no target here", _BY_CONCURRENCY)
    elif "autoscaling" not in model.entry:
        target.note("the number of replicas is fixed", "nothing is scaled without maxReplicas")
    else:
        _in_flight(target, number, model)


def _decimal(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _in_flight(target: Field, number: int, model: Model) -> None:
    usual = ENGINE_CONCURRENCY if model.format == "vllm" else 1
    most = model.entry.get("concurrency", usual)
    aim = max(1, min(number, most))
    model.inner("autoscaling", "scaleTarget", aim, target)
    if aim == number:
        target.carry()
    else:
        target.warn(
            f"{number} requests in flight per replica: here it is {aim}",
            f"a replica computes {most} at a time, the others wait where a new one can take them",
            f"containerConcurrency: {number}, if the model gains by as many at a time",
        )


def serve(part: Field, service: Service, model: Model) -> None:
    """containerConcurrency, timeout, batcher: of one replica."""
    most = part.at("containerConcurrency")
    if (number := most.of(int)) is not None and number > 0:
        model.put("concurrency", most.carry(), most)
    elif number == 0:
        most.note("no limit: requests wait in the Router until a replica is free for them")
    timeout = part.at("timeout")
    if (seconds := timeout.of(int)) is not None and seconds > 0:
        service.timeout = timeout.carry()
    elif seconds is not None:
        timeout.wrong(f"{timeout.data} seconds is no time to answer in")
    batcher = part.at("batcher")
    if batcher.of(dict) is None:
        return
    if model.format == "vllm":
        batcher.warn("an engine batches by itself", "it adds requests to those that run already")
        return
    rows, wait = batcher.at("maxBatchSize"), batcher.at("maxLatency")
    size = rows.take(int) or 0
    model.put("batching", {"maxBatchSize": size if size > 0 else _DEFAULT_BATCH}, batcher)
    latency = wait.take(int) or 0
    model.inner("batching", "maxLatency", latency if latency > 0 else _DEFAULT_LATENCY, wait)
    if not batcher.data:
        batcher.carry()
    if late := batcher.at("timeout"):
        late.note("a batch has no limit of its own", fix="`timeout` of the predictor, for each request")
