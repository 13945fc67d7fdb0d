"""Transformers: a class in the place of the container, and the way back."""

from typing import Any

import pytest
import yaml

from serve_app.config import RouterUserConfig, parse
from serve_app.tools.kserve import both_ways, serve_config
from serve_app.tools.kserve.translate import is_ours
from serve_app.tools.kube.documents import get
from tests.unit.tools.kserve.isvc import checked, errors, isvc, model, one, onnx, said, services

CLASS = "tandem/transformer"
NOTE = {CLASS: "class: mine.images:Images\noptions: {size: 28}\n"}


def box(*args: str, **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "kserve-container", "image": "mine:1", "args": [*args], **more}]}


def router(*data: dict[str, Any]) -> dict[str, Any]:
    config = serve_config.write(services(*data))["applications"][0]["deployments"][0]["user_config"]
    parse(RouterUserConfig, config)
    return config


def test_a_class_before_and_behind_the_model() -> None:
    data = isvc(
        onnx(), name="digits", annotations=NOTE,
        transformer=box("--predictor_protocol=v2", "--workers=2"),
    )  # fmt: skip
    service = one(data)
    assert errors(service) == []
    assert router(data)["transformers"] == [
        {"name": "digits", "class": "mine.images:Images", "options": {"size": 28},
         "predictor": "digits-predictor", "predictorProtocol": "v2"}
    ]  # fmt: skip
    (app,) = serve_config.write([service])["applications"][1:]
    assert (app["name"], app["args"]["model"]) == ("digits", "digits-predictor")
    heard = said(service)
    assert heard["spec.transformer.containers.0.args.1"].startswith("note: an argument of the container")
    assert heard["spec.transformer.containers.0.image"].startswith("note: ")


def test_when_it_hangs_is_said_in_the_annotation_and_comes_back() -> None:
    note = {CLASS: "class: mine.images:Images\nloadTimeout: 120\nhangAfter: 5\n"}
    data = isvc(onnx(), annotations=note, transformer=box())
    assert errors(one(data)) == []
    config = serve_config.write(services(data))
    found = router(data)["transformers"][0]
    assert (found["loadTimeout"], found["hangAfter"]) == (120, 5)
    (back,), _ = both_ways.inference_services({}, config, image="mine:1")
    assert back["metadata"]["annotations"][CLASS] == note[CLASS]


def test_inside_the_router_and_under_another_name() -> None:
    data = isvc(
        model("onnx", args=["--model_name=mnist"]), annotations={**NOTE, "tandem/placement": "inline"},
        transformer=box("--model_name", "mnist"),
    )  # fmt: skip
    config = router(data)
    assert [one["name"] for one in config["models"]] == ["mnist-predictor"]
    found = config["transformers"][0]
    assert (found["name"], found["predictor"]) == ("mnist", "mnist-predictor")


def test_beside_the_predictor_in_one_pod() -> None:
    predictor = onnx(containers=[{"name": "transformer-container", "image": "mine:1"}])
    assert router(isvc(predictor, annotations=NOTE))["transformers"][0]["name"] == "m"
    (why,) = errors(one(isvc(predictor)))
    assert "no transformer's container runs here" in why


def test_without_a_class_it_is_refused_with_the_way_out() -> None:
    found = checked(isvc(onnx(), transformer=box()))
    assert 'the annotation tandem/transformer: "class: my.module:MyClass"' in found


@pytest.mark.parametrize(
    ("note", "spec", "why"),
    [
        ("options: {a: 1}", {"transformer": box()}, "names no class"),
        ("class: a:B\nmodel: x", {"transformer": box()}, "`model` isn't of a transformer"),
        ("class: a:B", {}, "there is no transformer"),
        ("class: a.b", {"transformer": box()}, "package.module:ClassName"),
    ],
)
def test_annotations_that_are_wrong(note: str, spec: dict[str, Any], why: str) -> None:
    assert why in checked(isvc(onnx(), annotations={CLASS: note}, **spec))


def test_variables_arent_set_and_that_is_said() -> None:
    data = isvc(
        onnx(), annotations=NOTE, transformer=box(env=[{"name": "A", "value": "b"}], command=["x"])
    )
    assert "warning: not set" in said(one(data))["spec.transformer.containers.0.env"]


def test_graphs_and_loggers_name_whom_they_mean() -> None:
    logger = {"url": "http://sink", "mode": "request"}
    data = isvc(
        onnx(logger=logger), annotations=NOTE, transformer={**box(), "logger": logger, "minReplicas": 2}
    )
    graph = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph", "metadata": {"name": "g"},
        "spec": {"nodes": {"root": {"routerType": "Sequence", "steps": [{"serviceName": "m"}]}}},
    }  # fmt: skip
    config = router(data, graph)
    assert [one["models"] for one in config["payloads"]] == [["m"], ["m-predictor"]]
    assert [one.get("component") for one in config["payloads"]] == ["transformer", None]
    assert config["graphs"][0]["nodes"]["root"]["steps"][0]["serviceName"] == "m"


@pytest.mark.parametrize(
    ("placement", "args"),
    [
        ("remote", ["--predictor_protocol=v2"]),
        ("remote", ["--model_name=mnist"]),
        ("remote", []),
        ("inline", ["--predictor_protocol=v2"]),
    ],
)
def test_there_and_back(placement: str, args: list[str]) -> None:
    named = [one for one in args if "model_name" in one]
    data = isvc(
        model("onnx", **({"args": named} if named else {})),
        annotations={**NOTE, "tandem/placement": placement},
        transformer=box(*args, resources={"limits": {"cpu": "1"}}) | {"minReplicas": 1},
    )
    manifest = both_ways.ray_service(services(data))
    config = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    (back,), _ = both_ways.inference_services(manifest, config)
    assert back["spec"] == data["spec"]
    assert back["metadata"]["annotations"] == data["metadata"]["annotations"]


def test_loggers_of_both_there_and_back() -> None:
    first, second = ({"url": f"http://{name}", "mode": "all"} for name in ("one", "two"))
    data = isvc(onnx(logger=first), annotations=NOTE, transformer={**box(), "logger": second})
    manifest = both_ways.ray_service(services(data))
    config = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    (back,), _ = both_ways.inference_services(manifest, config)
    assert back["spec"]["predictor"]["logger"] == first
    assert back["spec"]["transformer"]["logger"] == second


def test_one_that_never_was_kserves_becomes_one() -> None:
    config = serve_config.write(services(isvc(onnx(), annotations=NOTE, transformer=box())))
    (back,), heard = both_ways.inference_services({}, config, image="mine:2")
    assert back["spec"]["transformer"] == {
        "containers": [{"name": "kserve-container", "image": "mine:2"}]
    }
    assert "args" not in back["spec"]["predictor"]["model"]
    assert yaml.safe_load(get(back, "metadata", "annotations", CLASS)) == {
        "class": "mine.images:Images",
        "options": {"size": 28},
    }
    assert heard == []
    assert errors(one(back)) == []
    assert is_ours(one(back).document)
