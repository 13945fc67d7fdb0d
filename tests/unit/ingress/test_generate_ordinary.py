"""Triton's generate extension of models that generate no text: by the names of their inputs."""

import json
from typing import Any

import httpx
import pytest

from serve_app.config import Limits
from serve_app.ingress.rest import RestApp
from tests.unit.planes import UNDECLARED, Backend, Echo, plane, served


@pytest.fixture
def numbers() -> Backend:
    return Backend()


@pytest.fixture
async def http(numbers: Backend) -> Any:
    made = plane()
    served(made, "n", backend=numbers, versions=("1",))
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    transport = httpx.ASGITransport(RestApp(made, lambda: Limits()))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


async def test_ordinary_models_by_the_names_of_their_inputs(http: Any, numbers: Backend) -> None:
    """Tensors in the shape of the input, what is no input a parameter, single values without list."""
    body = {"x": [1, 2, 3, 4], "colour": "red", "parameters": {"deep": True, "none": None}}
    answer = await http.post("/v2/models/n/generate", json=body)
    assert answer.json() == {
        "model_name": "n", "model_version": "1",
        "y": [11.0, 21.0, 31.0, 41.0], "z": [1.0, 2.0, 3.0, 4.0],
    }  # fmt: skip
    ((_, inputs, parameters),) = numbers.seen
    assert inputs["x"].shape == (2, 2)
    assert parameters == {"colour": "red", "deep": True}
    answer = await http.post("/v2/models/n/generate_stream", json={"parameters": {"x": [[5, 6]]}})
    (event,) = answer.text.strip().split("\n\n")
    assert json.loads(event.removeprefix("data: ")) == {
        "model_name": "n", "model_version": "1", "y": [51.0, 61.0], "z": [5.0, 6.0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"abc": 123}, "x: required"),
        ({"x": [1, 2, 3]}, "tensor 'x': expected shape [-1, 2] (-1 is any), got 3 elements"),
        ({"x": 1}, "tensor 'x': expected shape [-1, 2] (-1 is any), got 1 elements"),
        ({"x": [[1, 2], [3]]}, "tensor 'x': data is ragged"),
        ({"x": [[1], [2]]}, "tensor 'x': expected shape [-1, 2]"),
        ({"x": [1, 2], "p": {"a": 1}}, "p is no input of this model, and as a parameter it must be"),
        ({"x": [1, 2], "parameters": {"p": [1]}}, "parameters.p is no input of this model"),
    ],
    ids=str,
)
async def test_what_is_wrong_with_an_ordinary_models_request(http: Any, body: Any, said: str) -> None:
    answer = await http.post("/v2/models/n/generate", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


async def test_without_declared_inputs_nobody_knows_what_is_a_tensor(http: Any) -> None:
    answer = await http.post("/v2/models/echo/generate", json={"text_input": "a"})
    assert answer.status_code == 400
    assert (
        "model 'echo' generates no text, nor does it say what its inputs are" in answer.json()["error"]
    )
