"""InferenceGraphs as they stand: those of KServe's samples and tests, and what can't be carried."""

from typing import Any

import pytest
import yaml

from serve_app.config import RouterUserConfig, parse
from serve_app.config.graph import Graph
from serve_app.config.kserve_graph import FromKServe, from_kserve


def document(nodes: Any, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {"name": "chain"},
        "spec": {"nodes": nodes, **spec},
    }


def root(*steps: Any, kind: str = "Sequence") -> dict[str, Any]:
    return {"root": {"routerType": kind, "steps": list(steps)}}


def errors(made: FromKServe) -> list[str]:
    return [one.what for one in made.said if one.severity == "error"]


def at(made: FromKServe, *place: Any) -> list[tuple[str, str]]:
    return [(one.severity, one.what) for one in made.said if one.place == place]


STEP = ("spec", "nodes", "root", "steps", 0)


def test_a_whole_graph_is_carried() -> None:
    text = """
    root:
      routerType: Sequence
      steps:
      - name: rootStep1
        nodeName: node1
        dependency: Hard
      - name: rootStep2
        serviceName: success-200
        data: $response
        mapPredictionsToInstances: true
    node1:
      routerType: Switch
      steps:
      - name: node1Step1
        serviceName: error-404
        condition: "[@this].#(decision_picker==ERROR)"
    """
    nodes = yaml.safe_load(text)
    made = from_kserve(document(nodes), {"success-200": "success-200", "error-404": "other"})
    assert made.said == []
    graph = parse(Graph, made.graph)
    assert graph.name == "chain"
    assert graph.services() == {"success-200", "other"}
    assert ("spec", "nodes", "root", "steps", 1, "mapPredictionsToInstances") in made.carried


@pytest.mark.parametrize(
    ("url", "model", "version"),
    [
        ("http://iris.default.svc.cluster.local", "iris", None),
        ("http://iris.default.example.com/v1/models/iris:predict", "iris", None),
        ("http://iris-predictor.default:8080/v2/models/iris/infer", "iris", None),
        ("https://iris.ns.example.com/v2/models/iris/versions/3/infer", "iris", "3"),
        ("http://blossoms.where/v1/models/flower:predict", "flower", None),
        ("http://single-1.default.{$your-domain}", "single-1", None),
    ],
)
def test_addresses_of_this_service_s_models(url: str, model: str, version: str | None) -> None:
    models = {"iris": "iris", "blossoms": "flower", "single-1": "single-1"}
    made = from_kserve(document(root({"serviceUrl": url})), models)
    assert made.said == []
    step = parse(Graph, made.graph).nodes["root"].steps[0]
    assert (step.service_name, step.model_version) == (model, version)
    assert from_kserve(document(root({"serviceUrl": url}))).graph == made.graph  # nobody knows which


def test_a_model_of_another_server_is_one_of_modelformat_v2() -> None:
    urls = [
        "http://triton.example.com:8000/v2/models/iris/infer",
        "http://triton.example.com:8000/v2/models/resnet/versions/3/infer",
        "http://triton.example.com:8000/v2/models/iris/infer",
    ]
    steps = [{"serviceName": "iris"}, *({"serviceUrl": url} for url in urls)]
    made = from_kserve(document(root(*steps)), {"iris": "flowers"})
    assert made.said == []
    address = "http://triton.example.com:8000"
    assert made.models == [
        {"name": "iris", "modelFormat": "v2", "options": {"address": address, "model": "iris"}},
        {"name": "resnet", "modelFormat": "v2",
         "options": {"address": address, "model": "resnet", "version": "3"}},
    ]  # fmt: skip
    found = parse(Graph, made.graph).nodes["root"].steps
    assert [one.service_name for one in found] == ["flowers", "iris", "resnet", "iris"]
    config = {"models": made.models, "graphs": [made.graph]}
    assert [one.name for one in parse(RouterUserConfig, config).models] == ["iris", "resnet"]
    taken = from_kserve(document(root(*steps)), {"iris": "iris"})
    assert [one["name"] for one in taken.models] == ["iris-triton", "resnet"]


def test_other_addresses_are_refused_and_paths_of_containers_said() -> None:
    made = from_kserve(document(root({"serviceUrl": "https://api.example.com/x"})), {"iris": "iris"})
    assert at(made, *STEP, "serviceUrl") == [
        ("error", "'https://api.example.com/x' is no model of this service"),
        ("warning", "asked for its prediction, not for /x"),
    ]
    made = from_kserve(document(root({"serviceUrl": "http://iris.ns/switch"})), {"iris": "iris"})
    assert errors(made) == []
    assert made.graph["nodes"]["root"]["steps"][0]["serviceName"] == "iris"


def iris(kind: str = "Sequence", **step: Any) -> dict[str, Any]:
    return document(root({"serviceName": "iris", **step}, kind=kind))


def with_spec(**spec: Any) -> dict[str, Any]:
    return document(root({"serviceName": "iris"}), **spec)


IN_ROUTERS = "graphs run in the Routers' own processes"
NODES = ("spec", "nodes")
AROUND = [
    ({"minReplicas": 1}, ("minReplicas",), "note", IN_ROUTERS),
    ({"timeout": 60}, ("timeout",), "note", "one time limit holds for all that a Router is asked"),
    ({"routerTimeouts": {"serverRead": 1}}, ("routerTimeouts", "serverRead"), "note",
     "connections are HAProxy's and the Router's"),
    ({"minReplica": 1}, ("minReplica",), "error", "unknown key; did you mean minReplicas?"),
]  # fmt: skip
STEPS = [
    ({"serviceName": "iri"}, "serviceName", "warning",
     "no InferenceService 'iri' beside it; did you mean iris?"),
    ({"data": "$response.predictions"}, "data", "warning",
     "'$response.predictions' means $request: KServe's router knows $response alone"),
    ({"kind": "Ensemble", "condition": "a"}, "condition", "warning",
     "Ensemble nodes have no conditions: it is passed over"),
    ({"weight": 3}, "weight", "note", "weights are a Splitter's"),
    ({"conditon": "a"}, "conditon", "error", "unknown key; did you mean condition?"),
    ({"serviceUrl": "http://iris"}, "serviceUrl", "error",
     "a step has one of nodeName, serviceName and serviceUrl"),
]  # fmt: skip
WHOLE = [
    (iris("Switch"), STEP, "warning", "a Switch's step without a condition is never taken"),
    (iris("Splitter", weight=3), (*NODES, "root", "steps"), "error",
     "the weights of a Splitter add up to 100, these to 3"),
    (document({"start": root("x")["root"] | {"steps": [{"serviceName": "iris"}]}}), NODES, "error",
     "no node 'root'; known: start"),
    (document(root({"nodeName": "root"})), (*NODES, "root"), "error", "a circle: root -> root"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "place", "severity", "what"),
    [
        *((with_spec(**spec), ("spec", *place), *said) for spec, place, *said in AROUND),
        *((iris(**step), (*STEP, key), *said) for step, key, *said in STEPS),
        *WHOLE,
    ],
)
def test_what_is_said(made: Any, place: Any, severity: str, what: str) -> None:
    assert (severity, what) in at(from_kserve(made, {"iris": "iris"}), *place)


def test_a_step_s_time_limit_is_carried() -> None:
    made = from_kserve(document(root({"serviceName": "m"}), routerTimeouts={"serviceClient": 7}))
    assert parse(Graph, made.graph).router_timeouts.service_client == 7


STRANGE = document({"root": {"routerType": "Switch", "steps": [1, None]}})


@pytest.mark.parametrize(
    "wrong", [{}, {"spec": []}, {"spec": {"nodes": {"root": 3}}, "metadata": 1}, STRANGE]
)
def test_what_is_no_graph_at_all(wrong: Any) -> None:
    assert errors(from_kserve(wrong))
