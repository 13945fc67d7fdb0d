"""Which numbers of JSON are integers, and which are too large; null, which is none."""

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.protocol.elements import given, load_json, to_array
from tests.unit.arrays import DTYPES, INTEGERS


@pytest.mark.parametrize("datatype", sorted(INTEGERS))
def test_a_float_without_a_fraction_is_an_integer(datatype):
    data = load_json(b"[1.0, 2, 1e1, 0.0, -0.0, 1.2e2]")
    for form, shape in (
        (data, (6,)),
        ([data[:3], data[3:]], (2, 3)),
        ([[[x]] for x in data], (6, 1, 1)),
    ):
        array = to_array(form, datatype, shape, "x")
        assert array.dtype == DTYPES[datatype]
        assert array.ravel().tolist() == [1, 2, 10, 0, 0, 120]


@pytest.mark.parametrize("datatype", sorted(INTEGERS))
def test_such_floats_have_the_integers_limits(datatype):
    limits = np.iinfo(DTYPES[datatype])
    fits = [float(value) for value in (limits.min, limits.max) if abs(value) < 2**53]
    assert to_array([1.0, *fits], datatype, (1 + len(fits),), "x").tolist() == [1, *fits]
    for outside in (limits.min - 1, limits.max + 1, 10**30, -(10**30)):
        for data in ([float(outside)], [0, float(outside)]):
            with pytest.raises(InvalidArgument, match="'x': a value is out of range"):
                to_array(data, datatype, (len(data),), "x")


def test_integers_that_were_rounded_while_they_were_read_are_refused():
    below = load_json(b"[-9223372036854775809]")  # -2**63 - 1, which no 64 bits hold
    with pytest.raises(InvalidArgument, match="'x': a value is out of range for int64"):
        to_array(below, "INT64", (1,), "x")
    assert to_array(load_json(b"[-9223372036854775808, 1.0]"), "INT64", (2,), "x").tolist() == [
        -(2**63),
        1,
    ]
    assert to_array([1e18, 2**62 + 1], "INT64", (2,), "x").tolist() == [10**18, 2**62 + 1]
    assert to_array([1e19, 2**64 - 1], "UINT64", (2,), "x").tolist() == [10**19, 2**64 - 1]


@pytest.mark.parametrize(
    ("data", "odd"), [([1.0, 1.5], "1.5"), ([float("nan")], "NaN"), ([0, -0.25], "-0.25")]
)
def test_a_fraction_is_named(data, odd):
    with pytest.raises(InvalidArgument) as caught:
        to_array(data, "INT32", (len(data),), "x")
    assert str(caught.value) == f"tensor 'x': data must hold integers, got {odd}"


def test_null_is_absent():
    assert given({"a": None, "b": 0, "c": False, "d": "", "e": [None]}) == {
        "b": 0,
        "c": False,
        "d": "",
        "e": [None],
    }
    assert given({}) == {}


FLOAT_MAX = float(np.finfo(np.float32).max)
TIE = float.fromhex("0x1.ffffffp127")  # between the largest FP32 and what would be the next: rounds up


@pytest.mark.parametrize(
    ("datatype", "value", "message"),
    [
        ("FP32", 3.5e38, "3.5e+38 is out of range for float32"),
        ("FP32", -1e300, "-1e+300 is out of range for float32"),
        ("FP32", TIE, "3.4028235677973366e+38 is out of range for float32"),
        ("FP32", 2**128, "3.402823669209385e+38 is out of range for float32"),
        ("FP32", 10**39, "1e+39 is out of range for float32"),
        ("FP32", 10**400, "a value is out of range for float32"),
        ("FP64", -(10**400), "a value is out of range for float64"),
        ("INT8", 128, "a value is out of range for int8"),
        ("UINT8", -1, "a value is out of range for uint8"),
        ("INT32", -(2**31) - 1, "a value is out of range for int32"),
        ("INT64", 2**63, "a value is out of range for int64"),
        ("INT64", 10**400, "a value is out of range for int64"),
    ],
)
def test_out_of_range(datatype, value, message):
    for data in ([value], [0, value, 0]):
        with pytest.raises(InvalidArgument) as caught:
            to_array(data, datatype, (len(data),), "x")
        assert str(caught.value) == f"tensor 'x': {message}"


def test_the_largest_numbers_are_in_range():
    below = float(np.nextafter(TIE, 0))
    assert to_array([FLOAT_MAX, -FLOAT_MAX, below], "FP32", (3,), "x").tolist() == [
        FLOAT_MAX, -FLOAT_MAX, FLOAT_MAX,
    ]  # fmt: skip
    largest = float(np.finfo(np.float64).max)
    assert to_array([largest, int(largest), -largest], "FP64", (3,), "x").tolist() == [
        largest, largest, -largest,
    ]  # fmt: skip
