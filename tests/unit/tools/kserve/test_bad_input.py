"""What KServe's webhook refuses, and what Tandem can't serve: the line, and what to write instead."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check import load_checked
from serve_app.tools.check.verdict import check
from tests.unit.tools.kserve.isvc import MODE, isvc, model, onnx


def refused(tmp_path: Path, *data: dict[str, Any] | str) -> str:
    """What `tandem run` says; `tandem check` says each line of it, too."""
    text = "---\n".join(
        one if isinstance(one, str) else yaml.safe_dump(one, sort_keys=False) for one in data
    )
    (tmp_path / "isvc.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load_checked(tmp_path / "isvc.yaml")
    said = str(error.value)
    found = "\n".join(map(str, check(tmp_path / "isvc.yaml", None)))
    found = found.replace("warning: ", "").replace("Tandem: ", "")
    assert {line for line in said.splitlines() if ".yaml:" in line} <= set(found.splitlines())
    return said


CASES: list[tuple[dict[str, Any], str, str]] = [
    # What can't be served by anybody.
    (isvc(model("onxn")), "modelFormat.name", "no format 'onxn' is known; did you mean onnx?"),
    (isvc({}), "spec.predictor", "neither `model` nor `containers`"),
    (isvc({"minReplicas": 1}), "spec.predictor", "neither `model` nor `containers`"),
    (isvc({**onnx(), "sklearn": {"storageUri": "gs://a/b"}}), "spec.predictor", "exactly one"),
    (isvc({"onnx": {"storageUri": "gs://a/b"}, "sklearn": {}}), "spec.predictor", "exactly one"),
    (isvc({**onnx(), "containers": [{"name": "kserve-container", "image": "i"}]}),
     "spec.predictor", "exactly one"),
    (isvc(onnx(), name="Upper"), "metadata.name", "no name of a service"),
    (isvc(onnx(minReplicas=-1)), "minReplicas", "negative"),
    (isvc(onnx(minReplicas=3, maxReplicas=2)), "minReplicas", "more than maxReplicas 2"),
    (isvc(onnx(containerConcurrency=-1)), "containerConcurrency", "negative"),
    (isvc(onnx(canaryTrafficPercent=101)), "canaryTrafficPercent", "no share"),
    (isvc(onnx(minReplicas="two")), "minReplicas", "expected a whole number, got 'two'"),
    (isvc(onnx(timeout=-5)), "timeout", "no time to answer in"),
    (isvc(onnx(logger={"mode": "some"})), "logger.mode", "all, request"),
    (isvc(onnx(logger={"mode": "all", "storage": {"path": "x"}})), "logger.storage", "key, path"),
    (isvc(model("onnx", protocolVersion="v3")), "protocolVersion", "no protocol 'v3'"),
    (isvc(model("onnx", name="x")), "model.name", "standard predictor"),
    (isvc(model("onnx", env=[{"name": "PYTHONPATH", "value": "x"}])), "env", "PYTHONPATH"),
    (isvc(model("onnx", resources={"limits": {"cpu": "many"}})), "limits.cpu", "no quantity"),
    (isvc(onnx(storageUris=[{"uri": "gs://a/b"}])), "storageUris", "storageUri and storageUris"),
    (isvc(onnx(), transformer={"minReplicas": 1}), "transformer", "containers"),
    (isvc(onnx(), canary=[{"predictor": {**onnx(), "name": "a"}, "trafficPercent": 120}],
          annotations={MODE: "Standard"}), "trafficPercent", "0 to 100"),
    (isvc(onnx(), canary=[{"predictor": onnx(), "trafficPercent": 20}],
          annotations={MODE: "Standard"}), "canary", "name"),
    (isvc(onnx(), canary=[{"predictor": {**onnx(), "name": n}, "trafficPercent": 60} for n in "ab"],
          annotations={MODE: "Standard"}), "canary", "120"),
    (isvc(onnx(), canary=[{"predictor": {**onnx(), "name": "a"}, "trafficPercent": 60}] * 2,
          annotations={MODE: "Standard"}), "canary", "twice"),
    (isvc(onnx(), canary=[{"predictor": {**onnx(maxReplicas=3), "name": "a"}, "trafficPercent": 6}],
          annotations={MODE: "Standard"}), "maxReplicas", "fixed"),
    (isvc(onnx(), canary=[{"predictor": {**onnx(), "name": "a"}, "trafficPercent": 60}],
          annotations={MODE: "Knative"}), "canary", "Standard"),
    (isvc(onnx(scaleMetric="concurrency"), annotations={MODE: "Standard",
          "serving.kserve.io/autoscalerClass": "hpa"}), "scaleMetric", "none of cpu, memory"),
    (isvc(onnx(scaleMetric="cpu"), annotations={MODE: "Standard",
          "serving.kserve.io/autoscalerClass": "keda"}), "scaleMetric", "KEDA"),
    # What Tandem can't serve.
    (isvc(model("pmml")), "modelFormat.name", "PMML"),
    (isvc(model("triton")), "modelFormat.name", "leaves open"),
    (isvc(model("pytorch")), "spec.predictor", "needs inputs and outputs"),
    (isvc(model("onnx", protocolVersion="grpc-v1")), "protocolVersion", "gRPC of V1"),
    (isvc({"model": {"modelFormat": {"name": "onnx"}, "storageUri": "ftp://a"}}),
     "storageUri", "no support for ftp"),
    (isvc({"model": {"modelFormat": {"name": "onnx"}, "storageUri": "oci://a"}}),
     "storageUri", "isn't fetched"),
    (isvc({"model": {"modelFormat": {"name": "onnx"}}}), "spec.predictor", "needs storageUri"),
    (isvc(onnx(canaryTrafficPercent=0)), "canaryTrafficPercent", "revision of before"),
    (isvc(onnx(), transformer={"containers": [{"name": "t", "image": "i"}]}), "transformer", "answers"),
    (isvc(onnx(), annotations={"tandem/model": "storageURI: x"}), "tandem/model",
     "did you mean storageUri"),
    (isvc(onnx(), annotations={"tandem/placement": "here"}), "tandem/placement", "inline or remote"),
    (isvc(model("huggingface", args=["--task=singing"])), "args[0]", "the task 'singing'"),
    (isvc(onnx(), canary=[{"predictor": {"name": "b"}, "trafficPercent": 6}],
          annotations={MODE: "Standard"}), "canary", "nothing to run"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "place", "says"), CASES, ids=[case[2] for case in CASES])
def test_refused(tmp_path: Path, data: dict[str, Any], place: str, says: str) -> None:
    said = refused(tmp_path, data)
    lines = [line for line in said.splitlines() if says in line or (place in line and ".yaml:" in line)]
    assert any(says in line for line in said.splitlines()), said
    assert any(place in line for line in lines), said


def test_the_line_and_the_suggestion(tmp_path: Path) -> None:
    text = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: flowers
spec:
  predictor:
    model:
      modelFormat:
        name: onxn
      storageUri: gs://a/b
"""
    said = refused(tmp_path, text)
    assert said.startswith(f"{tmp_path}/isvc.yaml:9: InferenceService/flowers: ")
    assert "spec.predictor.model.modelFormat.name: no format 'onxn' is known" in said
    assert "fix: onnx" in said


def test_lines_of_the_old_form(tmp_path: Path) -> None:
    text = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: flowers}
spec:
  predictor:
    onnx:
      storageUri: ftp://a/b
"""
    assert f"{tmp_path}/isvc.yaml:7: " in refused(tmp_path, text)


def test_two_of_one_name(tmp_path: Path) -> None:
    assert "another model 'm' came before" in refused(tmp_path, isvc(onnx()), isvc(onnx()))


def test_a_model_of_nobody(tmp_path: Path) -> None:
    trained = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "TrainedModel", "metadata": {"name": "t"},
        "spec": {"inferenceService": "m", "model": {"framework": "onxn", "storageUri": "gs://a/b"}},
    }  # fmt: skip
    assert "did you mean onnx" in refused(tmp_path, isvc({"triton": {}}), trained)


def test_a_graph_that_goes_in_circles(tmp_path: Path) -> None:
    steps = {"a": "b", "b": "a", "root": "a"}
    nodes = {name: {"routerType": "Sequence", "steps": [{"nodeName": to}]} for name, to in steps.items()}
    graph = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph", "metadata": {"name": "g"},
        "spec": {"nodes": nodes},
    }  # fmt: skip
    assert "a circle: a -> b -> a" in refused(tmp_path, isvc(onnx()), graph)


def test_more_than_numbers_can_say_ends_no_rule(tmp_path: Path) -> None:
    """A quantity may have three digits behind its e (resource.Quantity's grammar)."""
    sizes = {"cpu": "1e999", "memory": "1e999", "nvidia.com/gpu": "1e999"}
    (tmp_path / "isvc.yaml").write_text(yaml.safe_dump(isvc(model("onnx", resources={"limits": sizes}))))
    assert not [one for one in check(tmp_path / "isvc.yaml", None) if "ended in" in str(one)]
