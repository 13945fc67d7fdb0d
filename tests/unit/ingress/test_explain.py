"""Explanations over HTTP: KServe's `:explain`, and the same with V2's tensors."""

import json

import numpy as np
import pytest

from serve_app.core.target import Target
from serve_app.errors import DeadlineExceeded, Overloaded
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters
from tests.unit.planes import description

BODY = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
ROWS = {"instances": [[1, 2], [3, 4]]}


class Why:
    """Two tensors for each row."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.seen: list[Parameters] = []

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        self.seen.append(parameters)
        if self.error:
            raise self.error
        return {"attributions": inputs["x"] * 2.0, "base_value": np.array([0.5] * len(inputs["x"]))}


@pytest.fixture
def why(the_plane):
    """The explainer of the model `m`."""
    made = Why()
    the_plane.directory.explainers["why"] = "why", "m"
    about = description("why", VersionDescription([], []), ("1",))
    the_plane.directory.expect("why", "why").serve("why", about, {"1": Target(made)})
    return made


async def test_v1(http, why):
    answer = await http.post("/v1/models/m:explain", json=ROWS)
    assert answer.status_code == 200
    assert answer.json() == {
        "explanations": [
            {"attributions": [2, 4], "base_value": 0.5},
            {"attributions": [6, 8], "base_value": 0.5},
        ]
    }


async def test_v1_by_column(http, why):
    answer = await http.post("/v1/models/m:explain", json={"inputs": {"x": [[1, 2]]}})
    assert answer.json() == {"explanations": {"attributions": [[2, 4]], "base_value": [0.5]}}


@pytest.mark.parametrize("path", ["/v2/models/m", "/v2/models/m/versions/1"])
async def test_v2(http, why, path):
    asked = {**BODY, "id": "7", "parameters": {"seed": 3, "timeout": 2_000_000}}
    answer = (await http.post(f"{path}/explain", json=asked)).json()
    version = "1" if path.endswith("1") else "2"
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("m", version, "7")
    assert [(one["name"], one["shape"], one["data"]) for one in answer["outputs"]] == [
        ("attributions", [2, 2], [2, 4, 6, 8]),
        ("base_value", [2], [0.5, 0.5]),
    ]
    assert why.seen == [{"seed": 3, "_version": version, "_seconds": 2.0}]


async def test_v2_binary_and_one_output(http, why):
    asked = {**BODY, "outputs": [{"name": "attributions", "parameters": {"binary_data": True}}]}
    answer = await http.post("/v2/models/m/explain", json=asked)
    length = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output["name"] == "attributions"
    assert np.frombuffer(answer.content[length:], np.float32).tolist() == [2, 4, 6, 8]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/v2/models/m/explain", {**BODY, "inputs": []}, 400, "tensor 'x' is missing"),
        ("/v2/models/m/explain", {**BODY, "outputs": [{"name": "z"}]}, 400, "output 'z'"),
        ("/v2/models/m/versions/9/explain", BODY, 404, "no version '9'"),
        ("/v2/models/none/explain", BODY, 404, "no model 'none'"),
        ("/v2/models/why/explain", BODY, 501, "model 'why' has no explainer"),
        ("/v2/models/new/explain", BODY, 503, "new"),
        ("/v1/models/m:explain", {"instances": [[1]]}, 400, "tensor 'x': expected shape"),
        ("/v1/models/m:explain", {"instance": [[1]]}, 400, "instances"),
        ("/v1/models/none:explain", ROWS, 404, "no model 'none'"),
    ],
)
async def test_what_is_wrong(http, why, path, body, status, text):
    answer = await http.post(path, json=body)
    assert (answer.status_code, text in answer.json()["error"]) == (status, True), answer.text
    assert why.seen in ([], [{"_version": "2", "_seconds": 60.0}])


@pytest.mark.parametrize(("error", "status"), [(DeadlineExceeded, 504), (Overloaded, 503)])
async def test_what_the_explainer_says(http, why, error, status):
    why.error = error("it says so")
    for path, body in (("/v2/models/m/explain", BODY), ("/v1/models/m:explain", ROWS)):
        answer = await http.post(path, json=body)
        assert (answer.status_code, answer.json()) == (status, {"error": "it says so"})


async def test_v1_gives_a_document_as_it_stands(http, why, monkeypatch):
    text = np.array([b'{"explanations": {"any": [1, null]}, "more": 2}'], dtype=object)

    async def predict(inputs: Arrays, parameters: Parameters) -> Arrays:
        return {"explanation": text}

    monkeypatch.setattr(why, "predict", predict)
    answer = await http.post("/v1/models/m:explain", json=ROWS)
    assert answer.content == text[0]
    assert answer.headers["content-type"] == "application/json"
    (output,) = (await http.post("/v2/models/m/explain", json=BODY)).json()["outputs"]
    assert (output["name"], output["data"]) == ("explanation", [text[0].decode()])


async def test_it_is_a_post(http, why):
    for path in ("/v2/models/m/explain", "/v1/models/m:explain"):
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_under_its_own_name_it_is_a_model_as_any_other(http, why):
    answer = await http.post("/v2/models/why/infer", json=BODY)
    assert [one["name"] for one in answer.json()["outputs"]] == ["attributions", "base_value"]
    assert why.seen == [{}]
