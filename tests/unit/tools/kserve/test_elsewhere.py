"""InferenceServices that stay on KServe and are asked from here."""

from typing import Any

import pytest
import yaml

from serve_app.tools.kserve import both_ways, serve_config
from tests.unit.tools.kserve.isvc import checked, errors, isvc, model, one, onnx, said, services

ADDRESS = "http://flowers-predictor.models.svc.cluster.local"
NOTE = {"tandem/model": f"modelFormat: v2\noptions: {{address: '{ADDRESS}', model: flowers-v2}}\n"}
BOX: dict[str, Any] = {"containers": [{"name": "kserve-container", "image": "mine:1"}]}
PREDICTORS = {
    "tensorflow": model("tensorflow", resources={"requests": {"cpu": "1"}}),
    "pmml": model("pmml"),
    "container": BOX,
    "one that runs here, too": onnx(minReplicas=2),
}


@pytest.mark.parametrize("predictor", PREDICTORS.values(), ids=PREDICTORS)
@pytest.mark.parametrize("placement", [{}, {"tandem/placement": "remote"}])
def test_it_is_asked_under_its_name(predictor: dict[str, Any], placement: dict[str, str]) -> None:
    data = isvc(predictor, name="flowers", annotations={**NOTE, **placement}, transformer=BOX)
    (router,) = serve_config.write([one(data)])["applications"]
    assert router["deployments"][0]["user_config"] == {
        "models": [
            {"name": "flowers", "modelFormat": "v2",
             "options": {"address": ADDRESS, "model": "flowers-v2"}}
        ]
    }  # fmt: skip
    assert errors(one(data)) == []
    assert "error" not in checked(data)
    heard = said(one(data))
    assert heard["spec.predictor"] == "note: it stays on KServe, and is asked there"


def test_it_comes_back_as_it_was() -> None:
    data = isvc(PREDICTORS["tensorflow"], annotations=NOTE)
    manifest = both_ways.ray_service(services(data, isvc(onnx(), name="other")))
    config = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    back, _ = both_ways.inference_services(manifest, config)
    found = {one["metadata"]["name"]: one for one in back}
    assert found["m"]["spec"] == data["spec"]
    assert found["m"]["metadata"]["annotations"] == NOTE


def test_there_is_nothing_to_deploy_for_one_that_never_was_kserves() -> None:
    entry = {"name": "far", "modelFormat": "triton", "options": {"address": "grpc://t:8001"}}
    router = {
        "name": "tandem", "route_prefix": "/", "import_path": "serve_app.app:build_router",
        "deployments": [{"name": "Router", "user_config": {"models": [entry]}}],
    }  # fmt: skip
    back, heard = both_ways.inference_services({}, {"applications": [router]})
    assert (back, heard) == (
        [],
        [("far", "another server's model: there is nothing of it to deploy")],
    )


def test_an_address_that_is_none() -> None:
    note = {"tandem/model": "modelFormat: v2\noptions: {address: flowers}"}
    assert "an address is http://HOST:PORT" in checked(isvc(PREDICTORS["pmml"], annotations=note))
    note = {"tandem/model": "modelFormat: v2"}
    assert "names no server" in checked(isvc(PREDICTORS["pmml"], annotations=note))
