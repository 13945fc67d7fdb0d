"""Fields of KServe's v1beta1 API, and the keys of Tandem's that they become."""

from typing import Any

import pytest

from serve_app.tools.kserve import serve_config
from tests.unit.tools.kserve.isvc import (
    MODE,
    application,
    checked,
    entry,
    errors,
    isvc,
    model,
    one,
    onnx,
    said,
    services,
)

CONCURRENCY = {"scaleMetric": "concurrency"}


def test_an_application_of_its_own_by_the_services_name() -> None:
    app = application(isvc(onnx(), name="flowers"))
    assert app == {
        "name": "flowers",
        "route_prefix": None,
        "import_path": "serve_app.app:build_model",
        "args": {"modelFormat": "onnx", "storageUri": "gs://a/b"},
    }


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("onnx", "onnx"), ("pytorch", "torch"), ("torch", "torch"), ("vLLM", "vllm"), ("ONNX", "onnx")],
)
def test_formats(theirs: str, ours: str) -> None:
    assert entry(isvc(model(theirs)))["modelFormat"] == ours


@pytest.mark.parametrize("form", ["onnx", "pytorch", "huggingface"])
def test_the_old_style_is_the_new_one(form: str) -> None:
    old = isvc({form: {"storageUri": "gs://a/b", "args": ["--task=text_embedding"]}})
    new = isvc(model(form, args=["--task=text_embedding"]))
    assert entry(old) == entry(new)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"minReplicas": 1}, {}),
        ({"minReplicas": 3}, {"replicas": 3}),
        ({"minReplicas": 2, "maxReplicas": 2}, {"replicas": 2}),
        ({"maxReplicas": 4}, {"autoscaling": {"minReplicas": 1, "maxReplicas": 4}}),
        (
            {"minReplicas": 0, "maxReplicas": 4},
            {"autoscaling": {"minReplicas": 0, "maxReplicas": 4}},
        ),
        ({"minReplicas": 0}, {"autoscaling": {"minReplicas": 0, "maxReplicas": 1}}),
        ({"containerConcurrency": 8}, {"concurrency": 8}),
        ({"containerConcurrency": 0}, {}),
        (
            {"maxReplicas": 4, "containerConcurrency": 8, "scaleTarget": 5, **CONCURRENCY},
            {
                "autoscaling": {"minReplicas": 1, "maxReplicas": 4, "scaleTarget": 5},
                "concurrency": 8,
            },
        ),
        (
            {"batcher": {"maxBatchSize": 16, "maxLatency": 20}},
            {"batching": {"maxBatchSize": 16, "maxLatency": 20}},
        ),
        ({"batcher": {}}, {"batching": {"maxBatchSize": 32, "maxLatency": 5000}}),  # its agent's
    ],
)
def test_scaling(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = entry(isvc(onnx(**fields)))
    assert {key: value for key, value in found.items() if key not in ("modelFormat", "storageUri")} == (
        expected
    )
    assert checked(isvc(onnx(**fields))).count("error") == 0


@pytest.mark.parametrize(
    ("fields", "place", "says"),
    [
        ({"scaleMetric": "rps"}, "scaleMetric", "requests per second"),
        ({"scaleMetric": "cpu"}, "scaleMetric", "CPU time"),
        ({"scaleMetric": "memory"}, "scaleMetric", "memory"),
        ({"scaleMetric": "rps", "scaleTarget": 9}, "scaleTarget", "9 of requests per second"),
        ({"scaleTarget": 50, **CONCURRENCY}, "scaleTarget", "50 requests in flight per replica"),
        ({"minReplicas": 0, "maxReplicas": 0}, "minReplicas", "there is 1 at most"),
        ({"autoScaling": {"metrics": []}}, "autoScaling", "HPA and KEDA"),
        ({"deploymentStrategy": {"type": "Recreate"}}, "deploymentStrategy", "not read"),
        ({"canaryTrafficPercent": 10}, "canaryTrafficPercent", "not 10 of 100"),
        ({"logger": {"mode": "all"}}, "logger", "no url: payloads aren't logged"),
        ({"storageContainerName": "c"}, "storageContainerName", "fetches models itself"),
    ],
)
def test_what_changes_is_a_warning(fields: dict[str, Any], place: str, says: str) -> None:
    service = one(isvc(onnx(**({"maxReplicas": 4} | fields))))
    text = said(service)[f"spec.predictor.{place}"]
    assert text.startswith("warning")
    assert says in text
    assert errors(service) == []


def test_a_target_of_standard_mode_is_one_of_the_cpu() -> None:
    fields = onnx(maxReplicas=4, scaleTarget=80)
    assert (
        "80 of CPU time"
        in said(one(isvc(fields, annotations={MODE: "Standard"})))["spec.predictor.scaleTarget"]
    )


def test_what_knative_is_told_by_annotations() -> None:
    knative = "autoscaling.knative.dev/"
    notes = {
        f"{knative}min-scale": "2", f"{knative}max-scale": "5", f"{knative}target": "1",
        f"{knative}metric": "concurrency",
    }  # fmt: skip
    scaled = entry(isvc(onnx(), annotations=notes))["autoscaling"]
    assert scaled == {"minReplicas": 2, "maxReplicas": 5, "scaleTarget": 1}


def test_a_limit_of_time_is_the_routers() -> None:

    config = serve_config.write(services(isvc(onnx(timeout=7), name="a"), isvc(onnx(), name="b")))
    assert config["applications"][0]["deployments"][0]["user_config"] == {"limits": {"timeout": 7}}
    both = services(isvc(onnx(timeout=7), name="a"), isvc(onnx(timeout=9), name="b"))
    assert "wait 9 seconds" in said(both[0])["spec.predictor.timeout"]


@pytest.mark.parametrize(
    ("said_of_it", "expected"),
    [
        ({"requests": {"cpu": "500m", "memory": "1Gi"}}, {"num_cpus": 0.5}),
        ({"limits": {"cpu": 2}}, {"num_cpus": 2}),
        ({"requests": {"cpu": "100m"}, "limits": {"cpu": "2"}}, {"num_cpus": 0.1}),
        ({"limits": {"nvidia.com/gpu": "1"}}, {"num_gpus": 1}),
        ({"limits": {"amd.com/gpu": 2, "cpu": "4"}}, {"num_cpus": 4, "num_gpus": 2}),
        ({"limits": {"nvidia.com/mig-1g.5gb": "1"}}, {"num_gpus": 1}),
        ({"requests": {"memory": "1Gi"}}, None),
    ],
)
def test_resources(said_of_it: dict[str, Any], expected: dict[str, Any] | None) -> None:
    found = isvc(model("onnx", resources=said_of_it))
    assert entry(found).get("resources") == expected
    assert "error" not in checked(found)


def test_variables_are_the_processes_own() -> None:
    secret = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    service = one(isvc(model("onnx", env=[{"name": "OMP_NUM_THREADS", "value": "2"}, secret])))
    assert service.models[0].env == {"OMP_NUM_THREADS": "2"}
    assert service.pods.container["env"] == [secret]
    assert errors(one(isvc(model("onnx", env=[{"name": "PYTHONPATH", "value": "/x"}])))) != []


def test_workers_of_an_engine_are_its_parallel_sizes() -> None:
    predictor = model("vllm", resources={"limits": {"nvidia.com/gpu": "1"}})
    predictor["workerSpec"] = {"pipelineParallelSize": 2, "containers": [{"name": "worker-container"}]}
    found = entry(isvc(predictor))
    assert found["engine"] == {"pipeline_parallel_size": 2}
    assert found["resources"]["num_gpus"] == 2
    assert "warning" in said(one(isvc(predictor)))["spec.predictor.workerSpec.containers"]


def test_what_tandem_alone_is_told() -> None:
    note = {"tandem/model": "inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]\noptions: {threads: 2}"}
    found = entry(isvc(onnx(), annotations=note))
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert found["options"] == {"threads": 2}
    assert errors(one(isvc(onnx(), annotations={"tandem/model": "{"}))) != []


def test_a_class_in_place_of_a_container() -> None:
    box = {
        "name": "kserve-container",
        "image": "i",
        "env": [{"name": "STORAGE_URI", "value": "gs://a/b"}],
    }
    found = entry(isvc({"containers": [box]}, annotations={"tandem/model": "class: a.b:C"}))
    assert found == {"modelFormat": "python", "storageUri": "gs://a/b", "class": "a.b:C"}
    assert "Tandem loads models" in checked(isvc({"containers": [box]}))


def test_inside_the_router() -> None:

    service = one(isvc(onnx(minReplicas=2), annotations={"tandem/placement": "inline"}))
    (router,) = serve_config.write([service])["applications"]
    assert router["deployments"][0]["user_config"]["models"] == [
        {"name": "m", "modelFormat": "onnx", "storageUri": "gs://a/b"}
    ]
    assert "`replicas` isn't of a model inside" in str(said(service))


@pytest.mark.parametrize(
    ("form", "more", "options"),
    [
        ("sklearn", {}, {"outputName": "output-0"}),
        ("sklearn", {"protocolVersion": "v1"}, {"outputName": "output-0"}),
        ("sklearn", {"protocolVersion": "v2"}, None),
        ("sklearn", {"protocolVersion": "v2", "runtime": "kserve-sklearnserver"},
         {"outputName": "output-0"}),
        ("sklearn", {"env": [{"name": "PREDICT_PROBA", "value": "true"}]},
         {"outputName": "output-0", "output": "predict_proba"}),
        ("xgboost", {}, {"outputName": "output-0"}),
        ("xgboost", {"args": ["--nthread=2"]}, {"outputName": "output-0", "threads": 2}),
        ("xgboost", {"protocolVersion": "v2"}, {"interface": "sklearn"}),
        ("xgboost", {"runtime": "kserve-mlserver"}, {"interface": "sklearn"}),
        ("lightgbm", {}, {"outputName": "output-0"}),
    ],
)  # fmt: skip
def test_rows_and_columns_are_answered_as_by_the_server_that_kserve_takes(
    form: str, more: dict[str, Any], options: dict[str, Any] | None
) -> None:
    """By the priorities of its ClusterServingRuntimes: MLServer has the higher one, and speaks V2."""
    data = isvc(model(form, **more))
    assert entry(data).get("options") == options
    assert checked(data).count("error") == 0
