"""Triton's raw binary request: the rules are those of its binary tensor data extension."""

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.raw_request import decode_request
from serve_app.protocol.tensors import InferRequest, TensorSpec
from tests.unit.arrays import DTYPES


def asked(
    body: bytes, *shape: int, datatype: str = "FP32", rows: bool = False, binary: bool = True
) -> InferRequest:
    signature = VersionDescription([TensorSpec("x", datatype, shape)], [])
    return decode_request(body, "m", "1", signature, rows=rows, binary=binary)


@pytest.mark.parametrize(
    ("shape", "rows", "count", "found"),
    [
        ((-1,), False, 8, (8,)), ((-1,), False, 32, (32,)), ((4,), False, 4, (4,)), ((), False, 1, ()),
        ((-1,), False, 0, (0,)), ((-1, 2), False, 6, (3, 2)), ((2, -1), False, 6, (2, 3)),
        ((2, -1, 3), False, 12, (2, 2, 3)), ((2, 2), False, 4, (2, 2)),
        ((-1, 4), True, 4, (1, 4)), ((-1, 4), True, 8, (2, 4)),
        ((-1, -1), True, 5, (1, 5)),  # a batch of one, where the size alone can't tell
        ((-1, 3, -1), True, 6, (1, 3, 2)), ((-1, 0), False, 0, (0, 0)),
    ],
)  # fmt: skip
def test_the_size_tells_the_shape(shape, rows, count, found):
    data = np.arange(count, dtype=np.float32)
    request = asked(data.tobytes(), *shape, rows=rows)
    (tensor,) = request.inputs
    assert (request.model, request.version, request.id, request.outputs) == ("m", "1", "", None)
    assert (tensor.name, tensor.datatype, tensor.data.shape) == ("x", "FP32", found)
    assert tensor.data.ravel().tolist() == data.tolist()
    assert request.binary_output


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BYTES"}))
def test_every_datatype(datatype):
    data = np.array([[0, 1], [1, 0]]).astype(DTYPES[datatype])
    (tensor,) = asked(data.tobytes(), -1, 2, datatype=datatype).inputs
    assert tensor.data.dtype == DTYPES[datatype]
    assert tensor.data.tolist() == data.tolist()


@pytest.mark.parametrize("shape", [(1,), (-1,), (), (1, 1), (-1, 1)])
@pytest.mark.parametrize("body", [b"427", b"", b"\x03\0\0\0abc"])
def test_bytes_are_one_element_without_a_length(shape, body):
    (tensor,) = asked(body, *shape, datatype="BYTES").inputs
    assert tensor.data.shape == tuple(1 for _ in shape)
    assert tensor.data.ravel().tolist() == [body]


@pytest.mark.parametrize(
    ("shape", "options", "size", "says"),
    [
        ((-1, -1), {}, 16, r"'x'.*more than one variable dimension"),
        ((-1, -1, -1), {"rows": True}, 16, r"'x'.*\[-1, -1, -1\] has more than one variable"),
        ((-1, 4), {}, 12, r"'x': FP32 of shape \[-1, 4\] takes a multiple of 16 bytes, got 12"),
        ((-1,), {}, 6, "multiple of 4 bytes, got 6"), ((-1, 0), {}, 4, "multiple of 0 bytes, got 4"),
        ((4,), {}, 12, "'x': FP32 of shape .4. takes 16 bytes, got 12"), ((4,), {}, 0, "takes 16 bytes"),
        ((2,), {"datatype": "BYTES"}, 3, "'x'.*one element of BYTES.*takes 2"),
        ((-1, 3), {"datatype": "BYTES"}, 3, "takes 3"), ((0,), {"datatype": "BYTES"}, 0, "takes 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_told(shape, options, size, says):
    with pytest.raises(InvalidArgument, match=says):
        asked(bytes(size), *shape, **options)


def test_one_input_alone():
    a, b = TensorSpec("a", "FP32", (1,)), TensorSpec("b", "FP32", (1,))
    optional = TensorSpec("c", "FP32", (1,), optional=True)
    for inputs, says in (([], "declares none"), ([a, b], "declares a, b")):
        with pytest.raises(InvalidArgument, match=f"one input; 'm' {says}"):
            decode_request(b"", "m", "", VersionDescription(inputs, []), rows=False, binary=True)
    found = decode_request(
        bytes(4), "m", "", VersionDescription([a, optional], []), rows=False, binary=False
    )
    assert [tensor.name for tensor in found.inputs] == ["a"]
    assert not found.binary_output
