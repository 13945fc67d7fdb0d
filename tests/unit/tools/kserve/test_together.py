"""Several documents, several versions, and what the Router has of them."""

from typing import Any

from serve_app.tools.kserve import serve_config
from tests.unit.tools.kserve.isvc import (
    MODE,
    application,
    checked,
    errors,
    isvc,
    one,
    onnx,
    said,
    services,
)


def test_many_models_of_one_service() -> None:
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


def test_a_logger_of_a_canary_alone_is_said_to_log_nothing() -> None:
    logger = {"url": "http://dumper/", "mode": "all"}
    for own, what in (({}, "warning: its payloads aren't"), ({"logger": logger}, "has all versions")):
        canary = {**onnx(logger=logger), "name": "next"}
        data = isvc(
            onnx(**own),
            annotations={MODE: "Standard"},
            canary=[{"predictor": canary, "trafficPercent": 1}],
        )
        assert what in said(one(data))["spec.canary.0.predictor.logger"]


def test_a_graph_beside_its_services() -> None:
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
