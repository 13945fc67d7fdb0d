"""The RPCs over a data plane, called with bytes as Serve calls them."""

import grpc
import pytest

from serve_app.config import Limits
from serve_app.errors import ModelFailed, Overloaded
from serve_app.ingress.grpc import SERVICE, Servicer
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.inference_pb2 import ModelInferRequest
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.planes import Raises, heard, plane, served


@pytest.fixture
def servicer():
    made = Servicer(plane(), lambda: Limits(maxBodyBytes=1000))
    served(made.plane)
    served(made.plane, "full", backend=Raises(Overloaded("full")))
    served(made.plane, "bad", backend=Raises(ModelFailed("raised")))
    served(made.plane, "buggy", backend=Raises(RuntimeError("a secret")))
    made.plane.directory.expect("new", "")
    return made


def infer(model: str = "m", raw: bytes | None = None, **extra) -> bytes:
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
    if raw is None:
        entry["contents"] = {"fp32_contents": [1, 2]}
    message = ModelInferRequest(model_name=model, inputs=[entry], **extra)
    if raw is not None:
        message.raw_input_contents.append(raw)
    return message.SerializeToString()


async def call(servicer, method: str, data: bytes = b""):
    context = Context()
    answer = (await getattr(servicer, method)(data, context)).SerializeToString()
    kind = SERVICE.methods_by_name[method].output_type._concrete_class
    return kind.FromString(answer), context


async def test_who_is_refused_for_load_is_told_when_to_come_back(servicer):
    _, context = await call(servicer, "ModelInfer", infer("full"))
    assert dict(context.trailing) == {"retry-after": "1", "grpc-retry-pushback-ms": "1000"}
    _, context = await call(servicer, "ModelInfer", infer("none"))
    assert context.trailing == ()


@pytest.mark.parametrize(
    ("model", "status"), [("m", "OK"), ("none", "NotFound"), ("full", "Overloaded")]
)
async def test_a_request_has_the_name_that_its_metadata_says(servicer, model, status):
    """As over HTTP: the id of one that has none, else beside it."""
    for id in ("", "abc"):
        context = Context()
        context.metadata = (("x-request-id", "outer"),)
        await servicer.ModelInfer(infer(model, id=id), context)
        call = heard(servicer.plane).calls[-1]
        assert (call.request.id, call.request_id, call.status) == (id or "outer", "outer", status)


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "é", b"\t"])
async def test_what_is_no_usable_name_is_none(servicer, name):
    context = Context()
    context.metadata = (("x-request-id", name),)
    answer = (await servicer.ModelInfer(infer(), context)).SerializeToString()
    assert len(pb.ModelInferResponse.FromString(answer).id) == 32
    assert heard(servicer.plane).calls[-1].request_id == ""


async def test_a_refusal_that_says_when_to_come_back_keeps_the_name(servicer):
    context = Context()
    context.metadata = (("x-request-id", "outer"),)
    await servicer.ModelInfer(infer("full"), context)
    assert isinstance(context.trailing, list)  # Serve's own context takes nothing else
    assert dict(context.trailing)["x-request-id"] == "outer"
    assert dict(context.trailing)["retry-after"] == "1"


async def test_typed_and_raw_inference(servicer):
    typed, _ = await call(servicer, "ModelInfer", infer(id="abc"))
    assert (typed.model_name, typed.model_version, typed.id) == ("m", "2", "abc")
    assert [list(out.contents.fp32_contents) for out in typed.outputs] == [[12, 22], [1, 2]]
    raw, _ = await call(
        servicer, "ModelInfer", infer(raw=b"\0\0\x80\x3f\0\0\0\x40", outputs=[{"name": "y"}])
    )
    assert list(raw.raw_output_contents) == [b"\0\0\x40\x41\0\0\xb0\x41"]


@pytest.mark.parametrize(
    ("data", "code", "part"),
    [
        (infer("none"), "NOT_FOUND", "no model 'none'"),
        (infer(model_version="9"), "NOT_FOUND", "no version '9'"),
        (infer("new"), "UNAVAILABLE", "loading"), (infer("full"), "RESOURCE_EXHAUSTED", "full"),
        (infer("bad", id="abc"), "INTERNAL", "request id abc"),
        (infer("buggy"), "INTERNAL", "internal error"),
        (b"\xff", "INVALID_ARGUMENT", "not a valid"),
        (b"x" * 1001, "RESOURCE_EXHAUSTED", "limit (maxBodyBytes)"),
        (infer(raw=b"123"), "INVALID_ARGUMENT", "takes 8 bytes, got 3"),
        (b"", "NOT_FOUND", "no model ''"),
        (infer(parameters={"timeout": {"string_param": "x"}}), "INVALID_ARGUMENT", "timeout"),
    ],
)  # fmt: skip
async def test_errors_have_their_code_and_say_what_is_wrong(servicer, data, code, part):
    _, context = await call(servicer, "ModelInfer", data)
    assert context.code is grpc.StatusCode[code]
    assert part in context.details
    assert "secret" not in context.details


async def test_the_stream_answers_in_order_and_errors_stay_in_their_place(servicer):
    async def requests():
        for data in (infer(id="1"), b"\xff", infer("none"), infer("buggy"), infer(id="2")):
            yield data

    answers = [
        pb.ModelStreamInferResponse.FromString(raw.SerializeToString())
        async for raw in servicer.ModelStreamInfer(requests(), Context())
    ]
    ids = [a.infer_response.id for a in answers]
    assert (ids[0], ids[1], ids[4]) == ("1", "", "2")  # those without one got one
    assert [bool(a.error_message) for a in answers] == [False, True, True, True, False]
    assert "secret" not in answers[3].error_message


async def test_health_and_metadata(servicer):
    assert (await call(servicer, "ServerLive"))[0].live
    assert (await call(servicer, "ServerReady"))[0].ready
    assert (await call(servicer, "ServerMetadata"))[0].name == "tandem"
    ready, _ = await call(servicer, "ModelReady", pb.ModelReadyRequest(name="m").SerializeToString())
    assert ready.ready
    new, context = await call(
        servicer, "ModelReady", pb.ModelReadyRequest(name="new").SerializeToString()
    )
    assert (new.ready, context.code) == (False, grpc.StatusCode.OK)
    about, _ = await call(
        servicer, "ModelMetadata", pb.ModelMetadataRequest(name="m").SerializeToString()
    )
    assert [(t.name, t.datatype, list(t.shape)) for t in about.inputs] == [("x", "FP32", [-1, 2])]
    config, _ = await call(servicer, "ModelConfig", pb.ModelConfigRequest(name="m").SerializeToString())
    assert [(t.name, t.data_type, list(t.dims)) for t in config.config.input] == [
        ("x", pb.TYPE_FP32, [-1, 2])
    ]
    index, _ = await call(
        servicer, "RepositoryIndex", pb.RepositoryIndexRequest(ready=True).SerializeToString()
    )
    assert {row.state for row in index.models} == {"READY"}


@pytest.mark.parametrize("asked", [{"name": "none"}, {"name": "m", "version": "9"}, {}])
async def test_a_model_that_is_not_there_is_not_ready(servicer, asked):
    answer, context = await call(
        servicer, "ModelReady", pb.ModelReadyRequest(**asked).SerializeToString()
    )
    assert (answer.ready, context.code) == (False, grpc.StatusCode.OK)


async def test_a_long_error_fits_a_trailer(servicer):
    served(servicer.plane, "wordy", backend=Raises(ModelFailed("é" * 9000)))
    _, context = await call(servicer, "ModelInfer", infer("wordy"))
    assert context.code is grpc.StatusCode.INTERNAL
    assert len(context.details.encode()) * 3 <= 4096 + 100


async def test_statistics(servicer):
    await call(servicer, "ModelInfer", infer())
    data = pb.ModelStatisticsRequest(name="m", version="2").SerializeToString()
    (stats,) = (await call(servicer, "ModelStatistics", data))[0].model_stats
    assert (stats.inference_count, stats.inference_stats.success.count) == (1, 1)
    assert stats.inference_stats.success.ns > 0
    parts = stats.inference_stats
    for part in (parts.compute_input, parts.compute_infer, parts.compute_output):
        assert part.count == 1
        assert part.ns > 0  # decoding, the model, encoding
    every, context = await call(
        servicer, "ModelStatistics", pb.ModelStatisticsRequest(version="1").SerializeToString()
    )
    assert context.code is grpc.StatusCode.OK
    assert {s.version for s in every.model_stats} == {"1"}


@pytest.mark.parametrize(
    "method", ["ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics", "RepositoryIndex"]
)
async def test_malformed_and_unknown(servicer, method):
    _, context = await call(servicer, method, b"\xff")
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT
    if method not in ("RepositoryIndex", "ModelReady"):
        _, context = await call(servicer, method, pb.ModelReadyRequest(name="none").SerializeToString())
        assert context.code is grpc.StatusCode.NOT_FOUND
