"""Fields of KServe's v1beta1 API, and the keys of Tandem's that they become."""

from typing import Any

import pytest

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
    from serve_app.tools.kserve import serve_config

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


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model_name=other"], {"model": "other"}),
        (["--model_name", "other"], {"model": "other"}),
        (["--served-model-name=other"], {"model": "other"}),
        (["--model_name=m"], {}),
        (["--task=text_embedding", "--max_length=128"],
         {"options": {"task": "embedding", "maxLength": 128}}),
        (["--task=sequence_classification", "--dtype=half"],
         {"options": {"task": "text-classification", "dtype": "float16"}}),
        (["--model_id=google-bert/bert-base-uncased", "--model_revision=v2", "--task=text_embedding"],
         {"options": {"task": "embedding"}}),
    ],
)  # fmt: skip
def test_arguments_of_huggingfaceserver(arguments: list[str], expected: dict[str, Any]) -> None:
    given = (
        arguments
        if any("--task" in each for each in arguments)
        else [*arguments, "--task=text_embedding"]
    )
    found = entry(isvc(model("huggingface", args=given)))
    assert {**{"options": {"task": "embedding"}}, **expected}.items() <= found.items()


def test_the_hub_by_an_argument() -> None:
    bare = model("huggingface", args=["--model_id=a/b", "--model_revision=v2", "--task=text_embedding"])
    del bare["model"]["storageUri"]
    assert entry(isvc(bare))["storageUri"] == "hf://a/b@v2"


def test_texts_that_are_generated_are_an_engines() -> None:
    found = entry(
        isvc(
            model(
                "huggingface",
                args=[
                    "--max-model-len=1024",
                    "--enforce-eager",
                    "--gpu-memory-utilization=0.9",
                    "--dtype=bfloat16",
                    "--no-enable-prefix-caching",
                ],
                resources={"limits": {"nvidia.com/gpu": "1", "cpu": "6"}},
            )
        )
    )
    assert found["modelFormat"] == "vllm"
    assert found["engine"] == {
        "max_model_len": 1024, "enforce_eager": True, "gpu_memory_utilization": 0.9,
        "dtype": "bfloat16", "enable_prefix_caching": False,
    }  # fmt: skip
    assert found["resources"] == {"num_cpus": 6, "num_gpus": 1}


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
    from serve_app.tools.kserve import serve_config

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


def test_many_models_of_one_service() -> None:
    from serve_app.tools.kserve import serve_config

    trained = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "TrainedModel", "metadata": {"name": "t"},
        "spec": {"inferenceService": "m", "model": {
            "framework": "onnx", "storageUri": "gs://a/b", "memory": "256Mi"}},
    }  # fmt: skip
    server = isvc({"sklearn": {"protocolVersion": "v1"}})
    found = services(server, trained)
    assert [errors(one) for one in found] == [[], []]
    (router,) = serve_config.write(found)["applications"]
    assert router["deployments"][0]["user_config"]["models"] == [
        {"name": "t", "storageUri": "gs://a/b", "modelFormat": "onnx"}
    ]
    assert "needs storageUri" in checked(server)


def test_a_canary_is_another_version_of_the_model() -> None:
    from serve_app.tools.kserve import serve_config

    def predictor(uri: str, **more: Any) -> dict[str, Any]:
        return {"model": {"modelFormat": {"name": "onnx"}, "storageUri": uri}, **more}

    flat = isvc(
        predictor("gs://a/flowers"),
        canary=[{"predictor": predictor("gs://a/flowers-2", name="next"), "trafficPercent": 10}],
        annotations={MODE: "Standard"},
    )
    numbered = isvc(
        predictor("gs://a/flowers/3"),
        canary=[{"predictor": predictor("gs://a/flowers/4", name="next"), "trafficPercent": 10}],
        annotations={MODE: "Standard"},
    )
    for data, uris, versions in (
        (flat, ["gs://a/flowers", "gs://a/flowers-2"], ["1", "2"]),
        (numbered, ["gs://a/flowers", "gs://a/flowers"], ["3", "4"]),
    ):
        config = serve_config.write(services(data))
        stable, canary = (app["args"] for app in config["applications"][1:])
        assert [stable["storageUri"], canary["storageUri"]] == uris
        assert [stable["versions"], canary["versions"]] == [[one] for one in versions]
        assert (canary["model"], config["applications"][2]["name"]) == ("m", "m-next")
        routing = config["applications"][0]["deployments"][0]["user_config"]["routing"]
        assert routing == {"m": {"traffic": {"weights": {versions[0]: 90, versions[1]: 10}}}}
        assert "error" not in checked(data)


def test_an_llm() -> None:
    data = {
        "apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService",
        "metadata": {"name": "qwen"},
        "spec": {
            "model": {"uri": "hf://Qwen/Qwen2.5-7B-Instruct", "name": "Qwen/Qwen2.5-7B-Instruct",
                      "lora": {"adapters": [{"name": "a", "uri": "hf://x/y"}]}},
            "replicas": 3, "parallelism": {"tensor": 2}, "router": {"scheduler": {}, "route": {}},
            "template": {"containers": [{
                "name": "main", "args": ["--max-model-len=4096"],
                "env": [{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}],
                "resources": {"limits": {"cpu": "4", "memory": "32Gi", "nvidia.com/gpu": "2"}}}]},
        },
    }  # fmt: skip
    assert application(data) == {
        "name": "qwen", "route_prefix": None, "import_path": "serve_app.app:build_model",
        "runtime_env": {"env_vars": {"VLLM_LOGGING_LEVEL": "DEBUG"}},
        "args": {
            "modelFormat": "vllm", "storageUri": "hf://Qwen/Qwen2.5-7B-Instruct",
            "model": "Qwen2.5-7B-Instruct",
            "engine": {"enable_lora": True, "lora_modules": [{"name": "a", "path": "hf://x/y"}],
                       "tensor_parallel_size": 2, "max_model_len": 4096},
            "resources": {"num_cpus": 4, "num_gpus": 2}, "replicas": 3, "llm": {"routing": "prefix"},
        },
    }  # fmt: skip
    assert "error" not in checked(data)


def test_a_logger_is_the_routers() -> None:
    from serve_app.tools.kserve import serve_config

    logger = {"mode": "request", "url": "http://dumper/", "metadataHeaders": ["x-team"]}
    (router,) = serve_config.write(services(isvc(onnx(logger=logger), name="a")))["applications"][:1]
    assert router["deployments"][0]["user_config"]["payloads"] == [
        {"url": "http://dumper/", "models": ["a"], "mode": "request", "metadataHeaders": ["x-team"],
         "inferenceService": "a"}
    ]  # fmt: skip
    stored = logger | {"url": "s3://bucket", "batchSize": 10, "batchInterval": "500ms", "storage": {
        "key": "k", "path": "/p", "parameters": {"region": "x"}}}  # fmt: skip
    service = one(isvc(onnx(logger=stored)))
    assert service.payloads[0]["url"] == "s3://bucket/p"
    assert service.payloads[0]["batch"] == {"maxEvents": 10, "maxSeconds": 0.5}
    assert "not read of a logger" in said(service)["spec.predictor.logger.storage"]


def test_a_graph_beside_its_services() -> None:
    from serve_app.tools.kserve import serve_config

    nodes = {"root": {"routerType": "Sequence", "steps": [
        {"serviceName": "a", "name": "first"}, {"serviceName": "b", "data": "$response"}]}}  # fmt: skip
    graph = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "InferenceGraph", "metadata": {"name": "g"},
        "spec": {"nodes": nodes},
    }  # fmt: skip
    named = isvc({"model": {**onnx()["model"], "args": ["--model_name=other"]}}, name="a")
    found = services(graph, named, isvc(onnx(), name="b"))
    config = serve_config.write(found)
    (entry_of_it,) = config["applications"][0]["deployments"][0]["user_config"]["graphs"]
    assert entry_of_it["name"] == "g"
    steps = entry_of_it["nodes"]["root"]["steps"]
    assert [step["serviceName"] for step in steps] == ["other", "b"]
    assert "error" not in checked(graph, named, isvc(onnx(), name="b"))
    assert "no InferenceService 'b' beside it" in checked(graph, named)
