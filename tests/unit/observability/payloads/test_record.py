import numpy as np
import pytest

from serve_app.observability.payloads.record import Bytes, Tensors, held
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor

TEXTS = np.array([[b"x" * 2**20, b""], [b"abc", b"d"]], object)


@pytest.mark.parametrize(
    ("array", "size"),
    [
        (TEXTS, 2**20 + 4 + 4 * 4),  # a length before each, as raw contents have it
        (np.array([], object), 0),
        (np.zeros((2, 3), np.float32), 24),
    ],
)
def test_the_size_of_tensors(array, size):
    tensors = [Tensor("a", "BYTES" if array.dtype == object else "FP32", array)]
    assert Tensors(InferRequest("m", "", "", tensors)).size == size
    assert Tensors(InferResponse("m", "1", "", tensors)).size == size


def test_texts_that_nobody_wants_are_not_held():
    body, size = held(Tensors(InferRequest("m", "", "", [Tensor("a", "BYTES", TEXTS)])), 2**20)
    assert isinstance(body, Bytes)
    assert (body.parts, body.kind, size) == (None, "application/json", 0)


@pytest.mark.parametrize(
    ("said", "length"),
    [(b"12", 12), (b"", None), (b"x", None), (b"-1", None), (b"\xb2", None), (b"9" * 5000, None)],
)
def test_the_length_of_the_json(said, length):
    assert Bytes({b"inference-header-content-length": said}, [], 0).json_length == length
