"""A model that isn't in memory, as clients see it: each verb that needs it has it loaded."""

import struct

import grpc
import pytest

from serve_app.config import Limits
from serve_app.core.cold import ANY, UNKNOWN
from serve_app.core.directory import INLINE
from serve_app.errors import NOT_HERE, Unavailable
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.metadata import ModelDescription
from tests.unit.ingress.rest_bodies import BODY, INPUT, error
from tests.unit.ingress.test_grpc import call, infer
from tests.unit.planes import Backend, description, serve


@pytest.fixture
def cold(the_plane):
    """`cold`, which is loaded when somebody looks for its successor; how often that was."""
    model = the_plane.directory.expect("cold", INLINE)
    model.serve(INLINE, ModelDescription("cold", "python", {ANY: UNKNOWN}), {})
    loads: list[str] = []

    async def renew(gone) -> bool:
        loads.append(gone.model)
        serve(model, Backend(), description("cold"))
        return True

    the_plane.look_for_successors(renew)
    return loads


@pytest.fixture
def broken(the_plane, cold):
    async def renew(gone) -> bool:
        failed = Unavailable("model 'cold' is not ready: no such file")
        failed.retry_after = 7
        raise failed

    the_plane.look_for_successors(renew)


async def test_who_only_asks_whether_it_is_there_loads_nothing(http, cold):
    assert (await http.get("/v2/models/cold/ready")).json() == {"name": "cold", "ready": True}
    assert (await http.get("/v1/models/cold")).status_code == 200
    assert (await http.get("/v2/models/cold/stats")).json() == {"model_stats": []}
    (row,) = [r for r in (await http.post("/v2/repository/index")).json() if r["name"] == "cold"]
    assert (row["version"], row["state"], row["reason"]) == ("", "UNAVAILABLE", NOT_HERE)
    ready = (await http.post("/v2/repository/index", json={"ready": True})).json()
    assert "cold" not in {row["name"] for row in ready}
    assert (await http.get("/openapi.json")).status_code == 200
    assert cold == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/models/cold/infer", BODY), ("POST", "/v2/models/cold/versions/1/infer", BODY),
        ("POST", "/v1/models/cold:predict", {"instances": [{"x": [1, 2]}]}),
        ("POST", "/v2/models/cold/generate", {"x": [1, 2]}),
        ("GET", "/v2/models/cold", None), ("GET", "/v2/models/cold/config", None),
        ("GET", "/v2/models/cold/versions/2", None),
    ],
)  # fmt: skip
async def test_who_needs_it_has_it_loaded(http, cold, method, path, body):
    answer = await http.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    assert cold == ["cold"]
    if method == "GET":
        assert "x" in answer.text


async def test_a_raw_body_needs_the_signature(http, cold):
    headers = {"inference-header-content-length": "0", "content-type": "application/octet-stream"}
    numbers = struct.pack("<2f", 1, 2)
    answer = await http.post("/v2/models/cold/infer", content=numbers, headers=headers)
    assert (answer.status_code, cold) == (200, ["cold"]), answer.text


async def test_a_wrong_request_is_told_so_by_the_one_that_was_loaded(http, cold):
    wrong = {"inputs": [INPUT | {"name": "z"}]}
    text = error(await http.post("/v2/models/cold/infer", json=wrong), 400)
    assert "'x' is missing" in text
    assert "no version '7'" in error(await http.post("/v2/models/cold/versions/7/infer", json=BODY), 404)


@pytest.mark.parametrize("path", ["/v2/models/cold/infer", "/v1/models/cold:predict"])
async def test_one_that_cannot_be_loaded_is_said_so_and_when_to_come_again(http, broken, path):
    body = BODY if path.endswith("infer") else {"instances": [[1, 2]]}
    answer = await http.post(path, json=body)
    assert "no such file" in error(answer, 503)
    assert answer.headers["retry-after"] == "7"
    assert "no such file" in error(await http.get("/v2/models/cold"), 503)


async def test_over_grpc(the_plane, cold):
    servicer = Servicer(the_plane, Limits)
    about, _ = await call(servicer, "ModelReady", pb.ModelReadyRequest(name="cold").SerializeToString())
    assert (about.ready, cold) == (True, [])
    asked = pb.ModelMetadataRequest(name="cold").SerializeToString()
    about, _ = await call(servicer, "ModelMetadata", asked)
    assert ([one.name for one in about.inputs], cold) == (["x"], ["cold"])
    answer, _ = await call(servicer, "ModelInfer", infer("cold"))
    assert answer.model_version == "2"


async def test_over_grpc_one_that_cannot_be_loaded(the_plane, broken):
    servicer = Servicer(the_plane, Limits)
    for method, request in (
        ("ModelMetadata", pb.ModelMetadataRequest(name="cold")),
        ("ModelConfig", pb.ModelConfigRequest(name="cold")),
    ):
        _, context = await call(servicer, method, request.SerializeToString())
        assert (context.code, "no such file" in context.details) == (
            grpc.StatusCode.UNAVAILABLE,
            True,
        )
    _, context = await call(servicer, "ModelInfer", infer("cold"))
    assert dict(context.trailing)["retry-after"] == "7"
