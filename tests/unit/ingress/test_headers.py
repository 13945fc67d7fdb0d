"""What came beside a request reaches its Call, by whichever way it came."""

from typing import Any

import httpx
import pytest

from serve_app.config import Limits
from serve_app.ingress.grpc import Servicer
from serve_app.ingress.rest import RestApp
from serve_app.protocol.inference_pb2 import ModelInferRequest
from tests.unit.engines import ABOUT, ENGINE, Talker, backend
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.planes import UNDECLARED, Echo, heard, plane, served

BESIDE = {"Traceparent": "00-ab-cd-01", "X-Session-Id": "s", "X-Canary": "yes"}
TENSOR = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}
V2, PROMPT = {"inputs": [TENSOR]}, {"model": "m", "prompt": "a"}


@pytest.fixture
def the_plane() -> Any:
    made = plane()
    served(made, "d")
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    served(made, "m", backend=backend(Talker()), about=ABOUT, versions=("1",), engine=ENGINE)
    return made


def check(the_plane: Any, transport: str, calls: int = 1) -> None:
    assert len(heard(the_plane).calls) == calls
    for call in heard(the_plane).calls:
        assert (call.transport, call.trace, call.session) == (transport, "00-ab-cd-01", "s")
        assert (call.headers.get("X-CANARY"), call.headers.get("none", "-")) == ("yes", "-")
        assert call.headers.get("x-canary") == "yes"  # and again


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/models/echo/infer", V2, 200), ("/v2/models/echo/infer", {}, 400),
        ("/v2/models/none/infer", V2, 404), ("/v1/models/d:predict", {"instances": [[1, 2]]}, 200),
        ("/v2/models/m/generate", {"text_input": "a"}, 200), ("/v2/models/m/generate", {}, 400),
        ("/v2/models/m/generate_stream", {"text_input": "a"}, 200),
        ("/v1/completions", PROMPT, 200), ("/openai/v1/completions", {**PROMPT, "stream": True}, 200),
    ],
)  # fmt: skip
async def test_http(the_plane: Any, path: str, body: Any, status: int) -> None:
    transport = httpx.ASGITransport(RestApp(the_plane, lambda: Limits()))
    async with httpx.AsyncClient(transport=transport, base_url="http://t", headers=BESIDE) as client:
        assert (await client.post(path, json=body)).status_code == status
    check(the_plane, "http")


@pytest.mark.parametrize("model", ["echo", "m", "none"])
async def test_grpc(the_plane: Any, model: str) -> None:
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 1], "contents": {"fp32_contents": [1]}}
    data = ModelInferRequest(model_name=model, inputs=[entry]).SerializeToString()
    servicer, context = Servicer(the_plane, lambda: Limits()), Context()
    context.metadata = tuple((name.lower(), value) for name, value in BESIDE.items())

    async def requests() -> Any:
        yield data
        yield b"\xff"

    await servicer.ModelInfer(data, context)
    assert len([answer async for answer in servicer.ModelStreamInfer(requests(), context)]) == 2
    check(the_plane, "grpc", 3)
