"""What Triton's parameters extension reserves reaches no model, and fails no request, over every edge.

Its list: sequence_id, sequence_start, sequence_end, priority, timeout, headers, binary_data_output, and
what begins with `triton_`. tritonclient sends them with requests to any model; MLServer's codecs send
`content_type`.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serve_app.config import Limits
from serve_app.ingress.grpc import Servicer
from serve_app.ingress.rest import RestApp
from serve_app.protocol import inference_pb2 as pb
from tests.unit.engines import ABOUT, ENGINE, Talker, backend
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.planes import Backend, call, plane, served, tensor

RESERVED = {
    "sequence_id": 7, "sequence_start": True, "sequence_end": False, "priority": 1, "timeout": 10**7,
    "binary_data_output": False, "triton_enable_empty_final_response": True,
    "triton_whatever_comes_next": "x", "content_type": "np",
}  # fmt: skip
HEADERS: list[Any] = [{"x-request-id": "a"}, None, "x", []]
BODY = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}


@pytest.fixture
def model() -> Backend:
    return Backend()


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
def the_plane(model: Backend, talker: Talker) -> Any:
    made = plane()
    served(made, backend=model, versions=("1",))
    made.directory.explainers["why"] = "why", "m"
    served(made, "why", backend=model, versions=("1",))
    served(made, "llm", backend=backend(talker), about=ABOUT, versions=("1",), engine=ENGINE)
    return made


@pytest.fixture
async def http(the_plane: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(RestApp(the_plane, Limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


@pytest.mark.parametrize("headers", HEADERS, ids=str)
async def test_over_http(http: httpx.AsyncClient, model: Backend, headers: Any) -> None:
    parameters = {**RESERVED, "headers": headers, "mine": 5}
    answer = await http.post("/v2/models/m/infer", json={**BODY, "parameters": parameters})
    assert answer.status_code == 200, answer.text
    assert model.seen[0][2] == {"mine": 5}


async def test_of_an_llm_over_http(http: httpx.AsyncClient, talker: Talker) -> None:
    text = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a"]}
    parameters = {**RESERVED, "headers": {}, "max_tokens": 2}
    body = {"inputs": [text], "parameters": parameters}
    answer = await http.post("/v2/models/llm/infer", json=body)
    assert answer.status_code == 200, answer.text
    generate = {"text_input": "a", "parameters": {**RESERVED, "max_tokens": 2}}
    for verb in ("generate", "generate_stream"):
        answer = await http.post(f"/v2/models/llm/{verb}", json=generate)
        assert answer.status_code == 200, answer.text
    said = {"model": "m", "prompt": "a", "max_tokens": 2}
    assert [{k: v for k, v in body.items() if k != "stream"} for _, body in talker.asked] == [said] * 3


def message(name: str, tensor: dict[str, Any], raw: bytes) -> pb.ModelInferRequest:
    made = pb.ModelInferRequest(model_name=name, inputs=[tensor], raw_input_contents=[raw])
    for key, value in RESERVED.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
        setattr(made.parameters[key], kind, value)
    made.parameters["headers"].SetInParent()  # of a kind that there is no value for
    return made


async def test_over_grpc(the_plane: Any, model: Backend, talker: Talker) -> None:
    servicer = Servicer(the_plane, Limits)
    x = message("m", {"name": "x", "datatype": "FP32", "shape": [1, 2]}, bytes(8))
    x.parameters["mine"].int64_param = 5
    text = message("llm", {"name": "text_input", "datatype": "BYTES", "shape": [1]}, b"\1\0\0\0a")
    for asked in (x, text):
        context = Context()
        await servicer.ModelInfer(asked.SerializeToString(), context)
        assert context.details == ""
    assert model.seen[0][2] == {"mine": 5}

    async def source() -> AsyncIterator[bytes]:
        yield text.SerializeToString()
        yield x.SerializeToString()

    async for answer in servicer.ModelStreamInfer(source(), Context()):
        found = pb.ModelStreamInferResponse.FromString(answer.SerializeToString())
        assert found.error_message == ""
    assert model.seen[1][2] == {"mine": 5}
    assert set(talker.asked[1][1]) == {"model", "prompt", "stream"}


async def test_of_an_explanation(the_plane: Any, model: Backend) -> None:
    await the_plane.explain(call(tensor([[1.0, 2.0]]), parameters={**RESERVED, "mine": 5}))
    assert model.seen[0][2] == {"mine": 5, "_version": "1", "_seconds": 10.0}  # its timeout


@pytest.mark.parametrize("name", ["sequence", "triton", "time_out", "my_timeout", "Priority"])
async def test_others_are_the_models(http: httpx.AsyncClient, model: Backend, name: str) -> None:
    answer = await http.post("/v2/models/m/infer", json={**BODY, "parameters": {name: 1}})
    assert answer.status_code == 200
    assert model.seen[0][2] == {name: 1}
