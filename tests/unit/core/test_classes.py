"""Classification outputs, asked for by tritonclient's own codec and read by it."""

import numpy as np
import orjson
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.grpc._utils import _get_inference_request

from serve_app.core.call import NO_HEADERS, Call
from serve_app.errors import InvalidArgument
from serve_app.protocol import grpc_codec, rest_codec
from serve_app.protocol.inference_pb2 import ModelInferResponse
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import UNDECLARED, Echo, Raises, plane, served

SCORES = np.array([[0.25, 3.5, -1], [7, 7, 2]], np.float32)
TOP = [[b"3.500000:1:dog", b"0.250000:0:cat"], [b"7.000000:0:cat", b"7.000000:1:dog"]]


def about(shape=(-1, 3), datatype="FP32", labels=("cat", "dog")):
    spec = TensorSpec("x", datatype, shape)
    return VersionDescription(
        [spec, TensorSpec("z", datatype, shape, optional=True)],
        [TensorSpec("x", datatype, shape, labels=list(labels)), spec_of(spec)],
    )


def spec_of(spec):
    return TensorSpec("z", spec.datatype, spec.shape)


async def over_http(p, array, class_count=2, binary=True):
    given = http_client.InferInput("x", list(array.shape), "FP32")
    given.set_data_from_numpy(array)
    asked = [http_client.InferRequestedOutput("x", binary_data=binary, class_count=class_count)]
    body, length = http_client.InferenceServerClient.generate_request_body([given], outputs=asked)
    request = rest_codec.decode_request(body, length, "m", "")
    parts, length = rest_codec.encode_response(await p.infer(Call(request, NO_HEADERS, "http")), request)
    body = b"".join(map(bytes, parts))
    return http_client.InferenceServerClient.parse_response_body(body, header_length=length)


async def over_grpc(p, array, class_count=2):
    given = grpc_client.InferInput("x", list(array.shape), "FP32")
    given.set_data_from_numpy(array)
    asked = [grpc_client.InferRequestedOutput("x", class_count=class_count)]
    wire = _get_inference_request(
        model_name="m", inputs=[given], model_version="", request_id="", outputs=asked, sequence_id=0,
        sequence_start=False, sequence_end=False, priority=0, timeout=None, parameters=None,
    ).SerializeToString()  # fmt: skip
    request, typed = grpc_codec.decode_request(wire)
    answer = await p.infer(Call(request, NO_HEADERS, "grpc"))
    message = ModelInferResponse.FromString(
        b"".join(map(bytes, grpc_codec.encode_response(answer, typed)))
    )
    return grpc_client.InferResult(message)


@pytest.mark.parametrize("way", [over_http, over_grpc])
async def test_the_highest_of_each_row_with_their_labels(way):
    p = plane()
    served(p, backend=Echo(), about=about())
    result = await way(p, SCORES)
    assert result.as_numpy("x").tolist() == TOP
    said = result.get_output("x")
    shape = said["shape"] if isinstance(said, dict) else list(said.shape)
    assert (shape, said["datatype"] if isinstance(said, dict) else said.datatype) == ([2, 2], "BYTES")


async def test_in_json_and_more_than_there_are():
    p = plane()
    served(p, backend=Echo(), about=about(labels=()))
    result = await over_http(p, SCORES[:1], class_count=9, binary=False)
    assert result.get_response()["outputs"][0] == {
        "name": "x", "shape": [1, 3], "datatype": "BYTES",
        "data": ["3.500000:1", "0.250000:0", "-1.000000:2"],
    }  # fmt: skip


@pytest.mark.parametrize("way", [over_http, over_grpc])
async def test_outputs_that_nobody_declared(way):
    p = plane()
    served(p, backend=Echo(), about=UNDECLARED)
    assert (await way(p, SCORES[0])).as_numpy("x").tolist() == [b"3.500000:1", b"0.250000:0"]


async def test_a_shape_without_rows_is_one_list():
    """As Triton's of a model whose max_batch_size is 0."""
    p = plane()
    served(p, backend=Echo(), about=about(shape=(2, 3), labels=()))
    assert (await over_http(p, SCORES)).as_numpy("x").tolist() == [b"7.000000:3", b"7.000000:4"]


async def test_of_two_outputs_one():
    p = plane()
    served(p, backend=Echo(), about=about())
    body = {
        "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]},
                   {"name": "z", "shape": [1, 3], "datatype": "FP32", "data": [4, 5, 6]}],
        "outputs": [{"name": "z", "parameters": {"classification": 0}},
                    {"name": "x", "parameters": {"classification": 1.0}}],
    }  # fmt: skip
    request = rest_codec.decode_request(orjson.dumps(body), None, "m", "")
    answer = await p.infer(Call(request, NO_HEADERS, "http"))
    assert [(one.name, one.data.tolist()) for one in answer.outputs] == [
        ("z", [[4, 5, 6]]), ("x", [[b"3.000000:2"]]),
    ]  # fmt: skip


async def test_an_output_without_numbers_is_refused_before_the_model_runs():
    p = plane()
    about = VersionDescription([], [TensorSpec("x", "BYTES", (-1,))])
    served(p, backend=Raises(RuntimeError()), about=about)
    with pytest.raises(InvalidArgument, match=r"'x': classification takes one of FP32.* it is BYTES"):
        await over_http(p, SCORES[0])
