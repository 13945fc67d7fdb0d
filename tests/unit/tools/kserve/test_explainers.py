"""InferenceServices with an explainer, there and back."""

import yaml

from serve_app.tools.kserve import both_ways, serve_config
from tests.unit.tools.kserve.isvc import checked, errors, isvc, one, onnx, said

NOTE = "explainer: {method: lime, kind: text, samples: 500}"
BOX = {
    "name": "kserve-container",
    "image": "mine:1",
    "args": ["--model_name", "m"],
    "env": [{"name": "LEVEL", "value": "2"}],
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
}
PART = {"containers": [BOX], "minReplicas": 0, "maxReplicas": 3, "containerConcurrency": 2}


def explained(note: str = NOTE, **spec):
    return isvc(onnx(), annotations={"tandem/explainer": note}, **spec)


def application(data):
    service = one(data)
    assert errors(service) == []
    _, _, app = serve_config.write([service])["applications"]
    return app


def test_what_the_annotation_says_is_an_application_beside_the_model_s():
    app = application(explained(explainer=PART))
    assert app == {
        "name": "m-explainer",
        "route_prefix": None,
        "import_path": "serve_app.app:build_model",
        "runtime_env": {"env_vars": {"LEVEL": "2"}},
        "args": {
            "explains": "m",
            "resources": {"num_cpus": 0.5},
            "concurrency": 2,
            "autoscaling": {"minReplicas": 0, "maxReplicas": 3},
            "explainer": {"method": "lime", "kind": "text", "samples": 500},
        },
    }
    assert "explain" not in checked(explained(explainer=PART))


def test_the_annotation_alone_is_enough():
    assert application(explained())["args"]["explains"] == "m"


def test_a_class_of_one_s_own_with_its_storage():
    box = {**BOX, "env": [{"name": "STORAGE_URI", "value": "s3://a/b"}]}
    app = application(explained("class: mine.why:Why", explainer={"containers": [box]}))
    assert app["args"] == {
        "explains": "m",
        "resources": {"num_cpus": 0.5},
        "storageUri": "s3://a/b",
        "class": "mine.why:Why",
        "modelFormat": "python",
    }


def test_without_it_the_explainer_is_warned_about():
    service = one(isvc(onnx(), explainer=PART))
    assert said(service)["spec.explainer"] == "warning: no explainer's container runs here"
    assert len(service.models) == 1
    service = one(isvc(onnx(), explainer={"art": {"type": "SquareAttack"}}))
    assert said(service)["spec.explainer"] == "warning: no explainer's container runs here"


def test_mistakes_in_the_annotation_are_found():
    text = checked(explained("explainer: {method: lime, kind: text, sample: 5}"))
    assert "unknown key; did you mean samples" in text
    assert "error" in said(one(explained("- nothing")))["metadata.annotations.tandem/explainer"]


def test_there_and_back():
    data = explained(explainer=PART)
    (found,), notes = both_ways.inference_services(both_ways.ray_service([one(data)]), _config(data))
    assert found == data
    assert notes == []


def test_with_a_transformer_it_explains_what_clients_ask():
    data = explained(explainer=PART, transformer={"containers": [BOX]})
    data["metadata"]["annotations"]["tandem/transformer"] = "class: mine.own:Own"
    assert application(data)["args"]["explains"] == "m"
    (found,), notes = both_ways.inference_services(both_ways.ray_service([one(data)]), _config(data))
    assert found == data
    assert notes == []


def _config(data):
    return yaml.safe_load(both_ways.ray_service([one(data)])["spec"]["serveConfigV2"])


def test_a_serve_config_that_never_was_kserve_s():
    model = {"name": "flowers", "modelFormat": "onnx", "storageUri": "s3://a/b"}
    config = {
        "applications": [
            {"name": "tandem", "import_path": "serve_app.app:build_router", "deployments": [
                {"name": "Router", "user_config": {"models": [model]}}]},
            {"name": "why", "import_path": "serve_app.app:build_model", "args": {
                "explains": "flowers", "replicas": 2, "storageUri": "s3://a/rows",
                "explainer": {"method": "lime", "kind": "tabular"}}},
            {"name": "lost", "import_path": "serve_app.app:build_model", "args": {
                "explains": "nobody", "explainer": {"method": "lime", "kind": "text"}}},
        ]
    }  # fmt: skip
    (found,), notes = both_ways.inference_services(config, config, "mine:1")
    assert found["spec"]["explainer"] == {
        "containers": [{"name": "kserve-container", "image": "mine:1"}],
        "minReplicas": 2,
        "maxReplicas": 2,
    }
    assert yaml.safe_load(found["metadata"]["annotations"]["tandem/explainer"]) == {
        "storageUri": "s3://a/rows",
        "explainer": {"method": "lime", "kind": "tabular"},
    }
    texts = [text for name, text in notes if name in ("flowers", "lost")]
    assert any("'nobody', which has no service here" in text for text in texts)
    assert any("its application is called flowers-explainer" in text for text in texts)
    again = one(found)
    assert errors(again) == []
    (app,) = serve_config.write([again])["applications"][1:]
    assert app["args"] == {**config["applications"][1]["args"], "explains": "flowers"}


def test_its_logger_hears_explanations_there_and_back():
    logger = {"mode": "all", "url": "http://sink/"}
    data = explained(explainer={**PART, "logger": logger})
    service = one(data)
    assert errors(service) == []
    router, *_ = serve_config.write([service])["applications"]
    (entry,) = router["deployments"][0]["user_config"]["payloads"]
    assert entry == {
        "url": "http://sink/", "models": ["m-explainer"], "mode": "all", "inferenceService": "m",
        "component": "explainer",
    }  # fmt: skip
    assert "logger" not in said(service)
    (again,), _ = both_ways.inference_services(both_ways.ray_service([service]), _config(data))
    assert again["spec"]["explainer"]["logger"] == logger
