"""Explainers on a live server: of a model with processes of its own, and of one in the Router."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from serve_app.protocol.inference_pb2 import ModelInferRequest, ModelInferResponse
from tests.serve.configs import python, remote, router, write
from tests.serve.live import until
from tests.server import MODES, Server, Setup

ROW = [0.3, 2.0, -0.5]
LIME = {"method": "lime", "kind": "tabular", "samples": 200, "batchSize": 20, "seed": 1}


def config(folder: Path) -> Path:
    np.save(folder / "background.npy", np.random.RandomState(0).normal(size=(100, 3)))
    for name in ("planted", "near"):
        (folder / name).touch()
    explainer = remote("why-planted", "", explains="planted", explainer=LIME, storageUri=str(folder))
    for key in ("modelFormat", "class"):  # there is nothing to load
        del explainer["args"][key]
    return write(
        folder / "config.yaml",
        router(
            python("Decides", options={"log": str(folder / "near")}) | {"name": "near"},
            limits={"maxQueuedRequests": 4},
        ),
        remote("planted", "Decides", options={"log": str(folder / "planted"), "seconds": 0.01}),
        explainer,
        remote("why-near", "Ablates", explains="near"),
    )


SETUP = Setup(MODES[0], "explain", config)
pytestmark = pytest.mark.parametrize("server", [SETUP], indirect=True, ids=str)


@pytest.fixture
def client(server: Server) -> Any:
    with server.http() as client:
        yield client


def v1(client: httpx.Client, model: str, *rows: list[float]) -> httpx.Response:
    return client.post(f"/v1/models/{model}:explain", json={"instances": list(rows)})


def v2(client: httpx.Client, path: str, **more: Any) -> httpx.Response:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": ROW}
    return client.post(f"/v2/models/{path}", json={"inputs": [tensor], **more})


def test_v1_names_what_is_explained_and_finds_what_decides(server: Server, client: httpx.Client) -> None:
    answer = v1(client, "planted", ROW, [-one for one in ROW])
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["explanations"]
    first, second = answer.json()["explanations"]
    odds = 1 / (1 + math.exp(-3 * ROW[1]))
    assert (first["output"], first["label"], first["class"]) == ("odds", "yes", 1)
    assert (second["label"], second["class"]) == ("no", 0)
    assert first["prediction"] == pytest.approx(odds, abs=1e-6)
    for one in (first, second):
        assert [abs(weight) for weight in one["attributions"]].index(
            max(map(abs, one["attributions"]))
        ) == 1
    assert v1(client, "planted", ROW).content == v1(client, "planted", ROW).content


def test_v2_tensors_parameters_and_versions(server: Server, client: httpx.Client) -> None:
    answer = v2(client, "planted/explain", id="seven", parameters={"class": "no", "samples": 40})
    assert answer.status_code == 200, answer.text
    about = answer.json()
    assert (about["model_name"], about["model_version"], about["id"]) == ("planted", "1", "seven")
    found = {one["name"]: one for one in about["outputs"]}
    assert (found["attributions"]["datatype"], found["attributions"]["shape"]) == ("FP64", [1, 3])
    assert (found["class"]["data"], found["label"]["data"]) == ([0], ["no"])
    assert found["attributions"]["data"][1] < 0
    only = v2(client, "planted/versions/1/explain", outputs=[{"name": "base_value"}])
    assert [one["name"] for one in only.json()["outputs"]] == ["base_value"]


def test_an_explainer_is_a_model_of_its_own(server: Server, client: httpx.Client) -> None:
    """As on MLServer: under its own name, over gRPC too."""
    about = client.get("/v2/models/why-planted").json()
    assert about["properties"] == {"explains": "planted", "method": "lime"}
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 3], "contents": {"fp32_contents": ROW}}
    message = ModelInferRequest(model_name="why-planted", inputs=[entry])
    with grpc.insecure_channel(server.grpc) as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            ModelInferRequest.SerializeToString,
            ModelInferResponse.FromString,
        )
        names = [one.name for one in infer(message, timeout=60).outputs]
    assert names[:3] == ["attributions", "features", "conditions"]


def test_a_class_of_one_s_own_asks_a_model_in_the_router(server: Server, client: httpx.Client) -> None:
    answer = v1(client, "near", ROW)
    assert answer.status_code == 200, answer.text
    (weights,) = answer.json()["explanations"]
    assert weights == pytest.approx([0, 1 / (1 + math.exp(-3 * ROW[1])) - 0.5, 0], abs=1e-6)
    answer = v2(client, "near/explain", parameters={"x": 1})
    assert (answer.status_code, answer.json()) == (400, {"error": "parameters: none, got x"})


def test_what_is_wrong_is_said(server: Server, client: httpx.Client) -> None:
    wrong = [
        (v1(client, "planted", [1.0, 2.0]), 400, "tensor 'x': expected shape [-1, 3]"),
        (v2(client, "planted/explain", parameters={"clas": 1}), 400, "did you mean class"),
        (v2(client, "planted/explain", parameters={"output": "ods"}), 400, "did you mean odds"),
        (v2(client, "planted/versions/9/explain"), 404, "no version '9'"),
        (v2(client, "none/explain"), 404, "no model 'none'"),
        (v2(client, "why-near/explain"), 501, "has no explainer"),
        (v1(client, "why-near", ROW), 501, "has no explainer"),
    ]
    for answer, status, text in wrong:
        assert (answer.status_code, text in answer.json()["error"]) == (status, True), answer.text
    late = v2(client, "planted/explain", parameters={"timeout": 300_000, "samples": 5000})
    assert (late.status_code, "within 0.3 s" in late.json()["error"]) == (504, True), late.text


def test_explanations_leave_predictions_their_turns(server: Server, client: httpx.Client) -> None:
    """By count: more than are let in, each longer than what is asked meanwhile; no prediction fails."""
    log = server.config.parent / "planted"

    def explained(_: int) -> int:
        with server.http() as own:
            return v2(own, "planted/explain", parameters={"samples": 1500}).status_code

    before = len(log.read_text().split())
    with ThreadPoolExecutor(10) as pool:
        under_way = [pool.submit(explained, one) for one in range(10)]
        until(lambda: len(log.read_text().split()) > before + 2, "explanations ask the model")
        answers = [v2(client, "planted/infer").status_code for _ in range(20)]
        assert answers == [200] * 20
        assert not all(one.done() for one in under_way)
        statuses = [one.result() for one in under_way]
    assert set(statuses) == {200, 503}
    rows = list(map(int, log.read_text().split()))[before:]
    assert max(rows) == 20  # never more at a time than `batchSize`
