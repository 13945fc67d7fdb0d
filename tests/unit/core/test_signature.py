import pytest

from serve_app.core.signature import validated
from serve_app.errors import InvalidArgument
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import DECLARED, UNDECLARED, request, tensor

ROW = [[1.0, 2.0]]


def test_arrays_come_in_the_declared_order_and_optional_ones_may_be_absent():
    specs = [TensorSpec("a", "FP32", (1,)), TensorSpec("b", "INT8", (-1,), optional=True)]
    version = VersionDescription(specs, [])
    b, a = tensor([1], "b", "INT8"), tensor([1], "a")
    assert list(validated(request(b, a), version)) == ["a", "b"]
    assert list(validated(request(a), version)) == ["a"]
    assert list(validated(request(b, a), UNDECLARED)) == ["b", "a"]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], r"'x' is missing: expected FP32 \[-1, 2\]"),
        ([tensor(ROW, "X")], "'x' is missing"),
        ([tensor(ROW), tensor(ROW, "w")], "'w' is not an input of this model: expected x"),
        ([tensor(ROW), tensor(ROW)], "'x' is given twice"),
        ([tensor(ROW, datatype="FP64")], "'x': expected datatype FP32, got FP64"),
        ([tensor([1, 2])], r"'x': expected shape \[-1, 2\] \(-1 is any\), got \[2\]"),
        ([tensor([[1, 2, 3]])], r"got \[1, 3\]"),
        ([tensor(1.0)], r"got \[\]"),
    ],
)
def test_wrong_tensors_are_named(tensors, message):
    with pytest.raises(InvalidArgument, match=message):
        validated(request(*tensors), DECLARED)


def test_a_tensor_given_twice_is_refused_even_when_undeclared():
    with pytest.raises(InvalidArgument, match="given twice"):
        validated(request(tensor(1), tensor(2)), UNDECLARED)
