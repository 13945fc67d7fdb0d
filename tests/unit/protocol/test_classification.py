"""Triton's classification extension (its extension_classification.md and src/classification.cc)."""

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.protocol.classification import classes
from serve_app.protocol.datatypes import v2_datatype
from serve_app.protocol.tensors import TensorSpec

FRUIT = ["pear", "pickle", "apple"]


def found(values, most, rows=False, labels=None, dtype=np.float32):
    array = np.array(values, dtype=dtype)
    spec = TensorSpec("y", "FP32", (-1,), labels=labels)
    return classes(array, v2_datatype(array) or "", most, rows, spec).tolist()


def test_the_documentation_s_example():
    """ "If an output tensor is [1, 5, 10, 4] … the top-2 classifications by index are [2, 1]."""
    assert found([1, 5, 10, 4], 2, dtype=np.int32) == [b"10:2", b"5:1"]
    assert found([1, 5, 10, 4], 2, labels=FRUIT, dtype=np.int32) == [b"10:2:apple", b"5:1:pickle"]


def test_floats_have_six_places_as_to_string_gives_them():
    assert found([1.1, 3.3, 0.5, 2.4], 2) == [b"3.300000:1", b"2.400000:3"]
    assert found([-1e-9], 1, dtype=np.float64) == [b"-0.000000:0"]


def test_a_row_each():
    assert found([[1, 2], [4, 3]], 1, rows=True) == [[b"2.000000:1"], [b"4.000000:0"]]
    assert found([[1, 2], [4, 3]], 1) == [b"4.000000:2"]
    assert found([[[1], [2]], [[4], [3]]], 2, rows=True)[0] == [b"2.000000:1", b"1.000000:0"]


def test_no_more_than_there_are():
    assert found([1, 2], 9) == [b"2.000000:1", b"1.000000:0"]
    assert found(3.0, 2, rows=True) == [b"3.000000:0"]
    assert found([7, 8], 2, rows=True) == [[b"7.000000:0"], [b"8.000000:0"]]


@pytest.mark.parametrize(("shape", "expected"), [((0, 3), (0, 0)), ((2, 0), (2, 0))])
def test_nothing_in_it(shape, expected):
    spec = TensorSpec("y", "FP32", (-1, -1))
    assert classes(np.zeros(shape, np.float32), "FP32", 2, True, spec).shape == expected


def test_equal_ones_come_in_their_order_and_nan_last():
    assert found([5, 7, 7, 5], 4, dtype=np.uint8) == [b"7:1", b"7:2", b"5:0", b"5:3"]
    assert found([np.nan, 1, np.inf, -np.inf], 4)[:2] == [b"inf:2", b"1.000000:1"]


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.uint64, 0, 2**64 - 1), (np.int64, -(2**63), 2**63 - 1), (np.int8, -128, 127)],
)
def test_the_whole_range_of_a_type(dtype, low, high):
    assert found([low, high], 2, dtype=dtype) == [f"{high}:1".encode(), f"{low}:0".encode()]


def test_an_index_without_a_label_has_none():
    assert found([3, 2, 1], 3, labels=["ä", ""], dtype=np.int32) == ["3:0:ä".encode(), b"2:1", b"1:2"]


@pytest.mark.parametrize("dtype", [np.float16, np.bool_, object])
def test_types_that_triton_tells_no_classes_from(dtype):
    """ "class result not available for output due to unsupported type"."""
    with pytest.raises(InvalidArgument, match="output 'y': classification takes one of FP32, FP64"):
        found([b"1"], 1, dtype=dtype)


def test_too_many():
    with pytest.raises(InvalidArgument, match="at most 1000000 values, and it has 1000001"):
        found(np.zeros(1_000_001), 1)
