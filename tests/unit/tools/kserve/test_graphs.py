"""InferenceGraphs beside InferenceServices, there and back, and loggers of predictors."""

from typing import Any

import yaml

from serve_app.config import RouterUserConfig, parse
from serve_app.tools.kserve import back, serve_config
from serve_app.tools.kserve.translate import accounted
from tests.unit.tools.kserve.isvc import checked, errors, isvc, onnx, said, services


def graph(nodes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph",
        "metadata": {"name": "model-chainer"}, "spec": {"nodes": nodes, **spec},
    }  # fmt: skip


# KServe's own sample (docs/samples/graph/sequence.yaml), with models of another format.
CHAIN = yaml.safe_load("""
root:
  routerType: Sequence
  steps:
    - serviceName: iris-1
    - serviceName: iris-2
      data: $request
""")


def router(*data: dict[str, Any]) -> RouterUserConfig:
    found = services(*data)
    assert [errors(one) for one in found] == [[] for _ in found]
    assert all(accounted(one) == [] for one in found)
    user = serve_config.write(found)["applications"][0]["deployments"][0]["user_config"]
    return parse(RouterUserConfig, user)


def test_a_graph_is_carried_as_it_is() -> None:
    data = isvc(onnx(), "iris-1"), isvc(onnx(), "iris-2"), graph(CHAIN, minReplicas=1)
    (made,) = router(*data).graphs
    assert (made.name, made.services()) == ("model-chainer", {"iris-1", "iris-2"})
    assert said(services(*data)[2]) == {
        "spec.minReplicas": "note: graphs run in the Routers' own processes"
    }
    assert "Error" not in checked(*data)


def test_the_order_of_documents_is_no_matter() -> None:
    (made,) = router(graph(CHAIN), isvc(onnx(), "iris-2"), isvc(onnx(), "iris-1")).graphs
    assert made.nodes["root"].steps[1].service_name == "iris-2"


def test_a_step_of_nobody_is_found_at_its_place() -> None:
    found = services(isvc(onnx(), "iris-1"), graph(CHAIN))
    place = "spec.nodes.root.steps.1.serviceName"
    assert said(found[1])[place].startswith("warning: no InferenceService 'iris-2' beside it")
    text = checked(isvc(onnx(), "iris-1"), graph(CHAIN))
    assert "no model 'iris-2'" in text


def test_there_and_back() -> None:
    data = isvc(onnx(), "iris-1"), isvc(onnx(), "iris-2"), graph(CHAIN)
    returned = back.convert(serve_config.write(services(*data)))
    (again,) = [one for one in returned.services if one["kind"] == "InferenceGraph"]
    assert again == graph(CHAIN)


def test_a_logger_of_a_predictor() -> None:
    said_ = {"mode": "request", "url": "http://message-dumper.default/", "metadataHeaders": ["X-Team"]}
    service = isvc(onnx(logger=said_), "iris")
    (made,) = router(service).payloads
    assert (made.url, made.mode, made.models) == (said_["url"], "request", ["iris"])
    assert (made.inference_service, made.metadata_headers) == ("iris", ["X-Team"])
    assert errors(services(service)[0]) == []
    wrong = isvc(onnx(logger={**said_, "mode": "requests"}), "iris")
    assert "logger.mode: Input should be 'all', 'request' or 'response'" in checked(wrong)
