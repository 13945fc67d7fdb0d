"""KServe's InferenceGraph as an entry of the Router's `graphs`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from serve_app.config.base import Place, did_you_mean, problems
from serve_app.config.graph import Graph, Node

_SPEC = ("spec",)
_PODS = (
    "affinity", "maxReplicas", "minReplicas", "nodeName", "nodeSelector", "resources", "scaleMetric",
    "scaleTarget", "serviceAccountName", "tolerations",
)  # fmt: skip
_SERVER = ("serverIdle", "serverRead", "serverWrite")
_MODEL = re.compile(r"/v1/models/([^/:]+):predict|/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
Severity = Literal["error", "warning", "note"]


class Said(NamedTuple):
    """What isn't carried of a document, or not as it stands there."""

    place: Place
    what: str
    why: str = ""
    fix: str = ""
    severity: Severity = "error"
    ours: bool = False  # KServe itself takes it


@dataclass
class FromKServe:
    """`graph` is an entry of `graphs`, in the configuration's words; it can be served unless an error
    is among what is `said`. `carried`: places that it has, with all below them. `models`: entries of
    `models` that it needs beside it, for what is another server's.
    """

    graph: dict[str, Any]
    models: list[dict[str, Any]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    carried: list[Place] = field(default_factory=list)


def from_kserve(document: Mapping[str, Any], models: Mapping[str, str] | None = None) -> FromKServe:
    """Read an InferenceGraph as it stands.

    `models`: what InferenceServices beside it are called here, by their own names; None where nobody
    knows which there are.
    """
    metadata, spec = _mapping(document.get("metadata")), _mapping(document.get("spec"))
    made = FromKServe({"name": metadata.get("name"), "nodes": {}})
    made.carried += [("apiVersion",), ("kind",), ("metadata", "name")]
    made.said += _around(metadata, spec)
    timeouts = _mapping(spec.get("routerTimeouts"))
    if not timeouts:
        made.carried.append((*_SPEC, "routerTimeouts"))
    if timeouts.get("serviceClient") is not None:
        made.graph["routerTimeouts"] = {"serviceClient": timeouts["serviceClient"]}
        made.carried.append((*_SPEC, "routerTimeouts", "serviceClient"))
    for name, node in _mapping(spec.get("nodes")).items():
        made.graph["nodes"][name] = _node(node, (*_SPEC, "nodes", name), models, made)
    try:
        graph = Graph.model_validate(made.graph)
    except ValidationError as error:
        made.said += [
            Said(_there(place), text, ours=place[-1:] == ("condition",))
            for place, text in problems(error, Graph)
        ]
    else:
        for name, node in graph.nodes.items():
            made.said += _as_the_router_has_it(node, (*_SPEC, "nodes", name))
    return made


def _around(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Said]:
    for key in metadata:
        if key != "name":
            what = "a graph here has a name, and nothing of a resource's"
            yield Said(("metadata", key), what, severity="note")
    for key in spec:
        place = (*_SPEC, key)
        if key in _PODS:
            what = "graphs run in the Routers' own processes"
            yield Said(place, what, "no pod is a graph's", "num_replicas of the Router", "note")
        elif key == "timeout":
            what = "one time limit holds for all that a Router is asked"
            yield Said(place, what, "", "limits.timeout of the Router", "note")
        elif key == "routerTimeouts":
            yield from _timeouts(_mapping(spec[key]), place)
        elif key != "nodes":
            known = [*_PODS, "timeout", "routerTimeouts", "nodes"]
            yield Said(place, f"unknown key{did_you_mean(key, known)}", "KServe refuses it")


def _timeouts(said: Mapping[str, Any], place: Place) -> Iterator[Said]:
    for key in said:
        if key in _SERVER:
            what = "connections are HAProxy's and the Router's"
            yield Said((*place, key), what, "", "limits of the Router", "note")
        elif key != "serviceClient":
            known = [*_SERVER, "serviceClient"]
            yield Said((*place, key), f"unknown key{did_you_mean(key, known)}", "KServe refuses it")


def _node(node: Any, place: Place, models: Mapping[str, str] | None, made: FromKServe) -> Any:
    steps = _mapping(node).get("steps")
    made.carried += [(*place, key) for key in _mapping(node) if key != "steps"]
    if not isinstance(steps, list):
        return node
    found = [_step(one, (*place, "steps", at), models, made) for at, one in enumerate(steps)]
    return {**node, "steps": found}


def _step(step: Any, place: Place, models: Mapping[str, str] | None, made: FromKServe) -> Any:
    if not isinstance(step, dict):
        return step
    made.carried += [(*place, key) for key in step]
    found = dict(step)
    name, url = step.get("serviceName"), step.get("serviceUrl")
    if isinstance(name, str) and not url:
        found["serviceName"] = (models or {}).get(name, name)
        if models is not None and name not in models:
            made.said.append(_missing((*place, "serviceName"), name, models))
    elif isinstance(url, str) and not name:
        del found["serviceUrl"]
        found |= _address(url, (*place, "serviceUrl"), models, made)
    elif url and name:
        where = (*place, "serviceUrl")
        made.said.append(Said(where, "a step has one of nodeName, serviceName and serviceUrl"))
        del found["serviceUrl"]
    return found


def _address(
    url: str, place: Place, models: Mapping[str, str] | None, made: FromKServe
) -> dict[str, Any]:
    """The model that an address means: `http://SERVICE.NAMESPACE…/v1/models/MODEL:predict`."""
    parts = urlsplit(url.strip())
    service = parts.netloc.rpartition("@")[2].split(":")[0].split(".")[0]
    service = service.removesuffix("-predictor").removesuffix("-predictor-default")
    asked = _MODEL.fullmatch(parts.path)
    model = (asked[1] or asked[2]) if asked else ""
    version = (asked[3] or "") if asked else ""
    known = models or {}
    if models is not None and service not in known:
        if asked and asked[2]:
            return {"serviceName": _another(parts, service, asked[2], version, known, made)}
        made.said.append(
            Said(
                place,
                f"'{url}' is no model of this service",
                "and doesn't say in V2's words which model of another server it is",
                f"http://{parts.netloc or 'HOST'}/v2/models/MODEL/infer, or a model of modelFormat v2",
                ours=True,
            )
        )
    if not asked and parts.path.strip("/"):
        why = "models have no paths of their own, whatever a container answers there"
        what = f"asked for its prediction, not for {parts.path}"
        made.said.append(Said(place, what, why, "", "warning"))
    if not model or (known and model not in known.values()):
        model = known.get(service, service)
    return {"serviceName": model, **({"modelVersion": version} if version else {})}


def _another(
    parts: SplitResult, host: str, model: str, version: str, known: Mapping[str, str], made: FromKServe
) -> str:
    """Another server's model as one of this service, and its name here."""
    options = {"address": f"{parts.scheme}://{parts.netloc}", "model": model}
    options |= {"version": version} if version else {}
    there = next((one for one in made.models if one["options"] == options), None)
    if there is not None:
        return str(there["name"])
    taken = {*known.values(), *(one["name"] for one in made.models), made.graph["name"]}
    names = [model, f"{model}-{host}", *(f"{model}-{host}-{at}" for at in range(2, 1000))]
    name = next(one for one in names if one not in taken)
    made.models.append({"name": name, "modelFormat": "v2", "options": options})
    return name


def _missing(place: Place, name: str, models: Mapping[str, str]) -> Said:
    what = f"no InferenceService '{name}' beside it{did_you_mean(name, models)}"
    return Said(place, what, "until there is one, its step fails with 404", "", "warning")


def _as_the_router_has_it(node: Node, place: Place) -> Iterator[Said]:
    """What KServe takes, and its router passes over."""
    for index, step in enumerate(node.steps):
        where = (*place, "steps", index)
        if node.router_type == "Switch" and not step.condition:
            yield Said(where, "a Switch's step without a condition is never taken", severity="warning")
        if node.router_type in ("Ensemble", "Splitter") and step.condition:
            what = f"{node.router_type} nodes have no conditions: it is passed over"
            yield Said((*where, "condition"), what, severity="warning")
        if step.data not in (None, "$request", "$response"):
            what = f"'{step.data}' means $request: KServe's router knows $response alone"
            yield Said((*where, "data"), what, severity="warning")
        if step.weight is not None and node.router_type != "Splitter":
            yield Said((*where, "weight"), "weights are a Splitter's", severity="note")


def _there(place: Place) -> Place:
    """A place in the document, of one in what was made of it."""
    return ("metadata", "name") if place[:1] == ("name",) else (*_SPEC, *place)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
