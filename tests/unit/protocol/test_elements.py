import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidArgument
from serve_app.protocol.elements import load_json, to_array, to_json
from tests.unit.arrays import DATATYPES, DTYPES, FLOATS, INTEGERS, arrays, of_bytes, same, special

anything = st.sampled_from(DATATYPES).flatmap(
    lambda name: st.tuples(st.just(name), arrays(name, text=True))
)


def nested(data: list, shape: tuple[int, ...]) -> object:
    """A flat list as the nested lists of `shape`."""
    if not shape:
        return data[0]
    step = len(data) // shape[0] if shape[0] else 0
    return [nested(data[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


@given(anything)
def test_every_datatype_and_shape_comes_back_exactly(case):
    datatype, array = case
    back = to_array(load_json(to_json(array, "x")), datatype, array.shape, "x")
    assert same(array, back, nan_payloads=False)


@given(anything)
def test_nested_data_reads_like_flat_data(case):
    datatype, array = case
    flat = load_json(to_json(array, "x"))
    data = nested(flat, array.shape) if array.ndim else flat
    assert same(array, to_array(data, datatype, array.shape, "x"), nan_payloads=False)


@given(st.sampled_from(sorted(FLOATS)).flatmap(lambda name: st.tuples(st.just(name), arrays(name))))
def test_the_written_numbers_are_the_numbers(case):
    datatype, array = case
    code = {"FP16": "e", "FP32": "f", "FP64": "d"}.get(datatype)
    for value, written in zip(array.ravel(), json.loads(to_json(array, "x")), strict=True):
        if np.isnan(value):
            assert written != written
        elif code:  # struct rounds to the nearest by itself; for infinity it is exact
            assert struct.pack(f"<{code}", written) == value.tobytes()
        else:
            assert struct.pack("<f", written)[2:] == value.tobytes()


def test_a_nan_that_signals_is_written_as_any_other():
    signalling = np.array([0x7FA00000], np.uint32).view(np.float32)
    assert to_json(signalling, "x") == b"[NaN]"


@given(st.sampled_from(sorted(INTEGERS)).flatmap(lambda name: arrays(name)))
def test_integers_are_written_in_full(array):
    assert json.loads(to_json(array, "x")) == [int(value) for value in array.ravel()]


@pytest.mark.parametrize("datatype", sorted(INTEGERS))
def test_integer_limits(datatype):
    limits = np.iinfo(DTYPES[datatype])
    low, high = int(limits.min), int(limits.max)
    assert to_array([low, 1, high], datatype, (3,), "x").tolist() == [low, 1, high]
    for outside in (low - 1, high + 1, 10**30):
        for data in ([outside], [outside, 1], [1, outside], [[outside], [0]]):
            with pytest.raises(InvalidArgument, match="'x'"):
                to_array(data, datatype, np.shape(data), "x")


def test_uint64_beyond_int64_beside_small_numbers():
    for data in ([2**63, 1], [1, 2**63], [2**64 - 1, 0, 2**53 + 1]):
        assert to_array(data, "UINT64", (len(data),), "x").tolist() == data
    for data in ([2**63, -1], [-1, 2**63]):
        with pytest.raises(InvalidArgument, match="'x'"):
            to_array(data, "UINT64", (2,), "x")


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT32", [1.5]), ("INT64", [1, 2.0, 2.5]), ("UINT8", [0.1]), ("INT16", [[1.0], [1.5]]),
        ("INT64", [1.0, True]), ("INT8", [1.0, "2"]), ("UINT64", [1.0, None]), ("BOOL", [1.0]),
        ("INT64", [1, float("-inf")]), ("UINT8", [float("nan"), 1.0]), ("BYTES", [1.0]),
        ("INT8", [True]), ("INT64", [1, True]), ("UINT64", [False, 2**63]),
        ("FP32", [True]), ("FP32", [1.5, False]), ("FP16", [0, True]), ("BF16", [True, 1]),
        ("BOOL", [1]), ("BOOL", [True, 0]), ("BOOL", [0.0]), ("BOOL", ["true"]), ("BOOL", [None]),
        ("FP32", ["1.5"]), ("FP32", [1.5, "NaN"]), ("INT32", ["1"]), ("INT32", [1, "2"]),
        ("FP64", [None]), ("FP64", [1.0, None]), ("INT8", [None, 1]), ("FP32", [{}]),
        ("FP32", [{"a": 1}, 2]),
        ("INT32", [float("nan")]), ("INT32", [float("inf"), 1]),
        ("BYTES", [1]), ("BYTES", ["a", None]), ("BYTES", [True]), ("BYTES", [{}]),
        ("BYTES", [["a"], [2]]),
    ],
)  # fmt: skip
def test_an_element_of_the_wrong_kind_is_refused(datatype, data):
    with pytest.raises(InvalidArgument, match="'x'"):
        to_array(data, datatype, np.shape(data) if isinstance(data[0], list) else (len(data),), "x")


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("FP16", 65520),
        ("FP16", -1e5),
        ("FP32", 3.5e38),
        ("FP32", -1e300),
        ("BF16", 3.4e38),
        ("FP64", 10**400),
    ],
)
def test_float_overflow_is_refused(datatype, value):
    with pytest.raises(InvalidArgument, match=r"'x'.*range"):
        to_array([0.5, value], datatype, (2,), "x")


def test_floats_round_to_nearest_and_underflow_to_zero():
    assert to_array([0.1, 1e-60, 65504, 2**63], "FP32", (4,), "x").tolist() == [
        struct.unpack("<f", struct.pack("<f", value))[0] for value in (0.1, 1e-60, 65504, 2.0**63)
    ]
    assert float(to_array([65519], "FP16", (1,), "x")[0]) == 65504


def test_nan_and_infinity_in_and_out():
    data = load_json(b"[NaN, Infinity, -Infinity, -0.0, 1]")
    for datatype in FLOATS:
        array = to_array(data, datatype, (5,), "x")
        assert np.isnan(array[0])
        assert array[1:].tolist() == [np.inf, -np.inf, 0, 1]
        assert np.signbit(array[3])
    text = to_json(special(DTYPES["FP32"]), "x")
    assert text.startswith(b"[NaN, Infinity, -Infinity, 0.0, -0.0, 1.0")


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([1, 2, 3], (2,)), ([], (1,)), ([1], (0,)), ([1, 2], ()), ([], ()),
        ([[1, 2], [3, 4]], (4,)), ([[1, 2], [3, 4]], (1, 4)), ([[1, 2, 3], [4, 5, 6]], (3, 2)),
        ([[1, 2], [3]], (3,)), ([[1], 2], (2,)), ([1, [2]], (2,)), ([[1], []], (1,)),
        ([[[1]], [2]], (2,)),
        ([[]], (2, 0)), ([[], []], (0,)), ([[1], [2, 3]], (2, 1)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("datatype", ["INT32", "FP32", "BYTES"])
def test_a_count_or_nesting_that_contradicts_the_shape(datatype, data, shape):
    if datatype == "BYTES":
        data = json.loads(json.dumps(data).translate({ord(digit): f'"{digit}"' for digit in "123456"}))
    with pytest.raises(InvalidArgument, match="'x'"):
        to_array(data, datatype, shape, "x")


@pytest.mark.parametrize("datatype", ["INT32", "FP32", "BOOL", "BYTES"])
@pytest.mark.parametrize("depth", [2, 33, 65, 900])
def test_deep_nesting_is_refused(datatype, depth):
    value = {"BOOL": "true", "BYTES": '"a"'}.get(datatype, "1")
    data = load_json(b"[" * depth + value.encode() + b"]" * depth)
    with pytest.raises(InvalidArgument, match="'x'") as caught:
        to_array(data, datatype, (1,), "x")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("data", [None, 3, "abc", {"0": 1}, True])
def test_data_must_be_a_list(data):
    with pytest.raises(InvalidArgument, match="'x': data must be a list"):
        to_array(data, "FP32", (1,), "x")


def test_a_long_string_among_numbers_costs_no_memory():
    data: list[object] = ["x" * 2**20, *["y"] * 2**20]  # numpy would make 4 TiB of it
    with pytest.raises(InvalidArgument, match='must hold numbers, got "xxx'):
        to_array(data, "FP32", (len(data),), "x")


def test_a_scalar_is_a_list_of_one():
    assert same(to_array([7], "INT16", (), "x"), np.array(7, dtype=np.int16))
    assert to_json(np.array(7, dtype=np.int16), "x") == b"[7]"


def test_bytes_that_are_not_utf8_have_no_json_form():
    with pytest.raises(InvalidArgument, match=r"output 'x'.*binary_data"):
        to_json(of_bytes([b"fine", b"\xff\xfe"], (2,)), "x")
    with pytest.raises(InvalidArgument, match="element 1 is not valid Unicode"):
        to_array(["a", "\ud800"], "BYTES", (2,), "x")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{'a': 1}", b"[1,]", b"nul", b"\xff\xfe", b'{"a": NaN', b"[Nan]", b"[-NaN]",
        b"[+Infinity]",
        b'"\xff NaN"', b"[NaN]" * 2, b"[" * 100_000, b"[NaN, " + b"[" * 100_000,
        b"[NaN, " + b"9" * 5000 + b"]", b"[1e400]", b"[NaN, 1e400]",
        '{"a": NaN}'.encode("utf-16"), rb'{"id": "\ud800", "x": NaN}',
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(body):
    with pytest.raises(InvalidArgument, match="not valid JSON"):
        load_json(body)


def test_nan_changes_nothing_else_about_a_body():
    body = rb"""{"a": [NaN, 18446744073709551616, 18446744073709551615, -1, 0.1],
                  "s": "NaN \ud83d\ude00 \\ud800"}"""
    read = load_json(body)
    assert read["a"][1:] == [2.0**64, 2**64 - 1, -1, 0.1]
    assert type(read["a"][1]) is float
    assert read["s"] == "NaN \N{GRINNING FACE} \\ud800"


PACKED = ["FP32", "FP64", "INT32", "INT64", "UINT8", "INT8"]  # what `struct` reads in one step


def numbers(datatype: str) -> st.SearchStrategy[list]:
    """Lists of what JSON can hold and the datatype takes, its extremes often among them."""
    if datatype in INTEGERS:
        limits = np.iinfo(DTYPES[datatype])
        return st.lists(st.integers(int(limits.min), int(limits.max)))
    limits = np.finfo(DTYPES[datatype])
    integers = st.integers(-(2**64), 2**64) | st.sampled_from([2**24 + 1, 2**53 + 1, 10**38, -(2**127)])
    extremes = [float(value) for value in special(DTYPES[datatype])]
    floats = st.floats(float(limits.min), float(limits.max)) | st.sampled_from(extremes)
    return st.lists(integers | floats)


@given(st.sampled_from(PACKED).flatmap(lambda name: st.tuples(st.just(name), numbers(name))))
def test_numbers_are_read_as_numpy_reads_them(case):
    datatype, data = case
    dtype = DTYPES[datatype]
    expected = np.array(data, dtype=np.float64 if dtype.kind == "f" else dtype).astype(dtype)
    assert same(to_array(data, datatype, (len(data),), "x"), expected)


@pytest.mark.parametrize("datatype", PACKED)
def test_no_numbers(datatype):
    for data, shape in (([], (0,)), ([[], []], (2, 0)), ([], (0, 3))):
        assert same(to_array(data, datatype, shape, "x"), np.zeros(shape, DTYPES[datatype]))
    assert to_json(np.zeros((2, 0), DTYPES[datatype]), "x") == b"[]"


@pytest.mark.parametrize("datatype", sorted(FLOATS))
@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [0, 500, 999])
def test_one_number_that_is_not_finite_among_many(datatype, odd, place):
    data = [0.5, -2.0] * 500
    data[place] = odd
    array = to_array(data, datatype, (20, 50), "x")
    assert same(array, np.array(data).astype(DTYPES[datatype]).reshape(20, 50))
    text = to_json(array, "x")
    word = {float("inf"): b"Infinity", float("-inf"): b"-Infinity"}.get(odd, b"NaN")
    assert text.replace(b" ", b"").strip(b"[]").split(b",")[place] == word
    assert same(to_array(load_json(text), datatype, (20, 50), "x"), array, nan_payloads=False)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_list_follows_the_shape_and_not_the_memory(order):
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32, order=order)
    assert to_json(array, "x") == b"[1.0,2.0,3.0,4.0,5.0,6.0]"
    assert to_json(array[:, ::-2], "x") == b"[3.0,1.0,6.0,4.0]"
    array[1, 0] = np.nan
    assert to_json(array, "x").replace(b" ", b"") == b"[1.0,2.0,3.0,NaN,5.0,6.0]"


@pytest.mark.parametrize("count", [2**15, 2**15 + 1, 3 * 2**15 + 5])
@pytest.mark.parametrize("datatype", ["FP32", "INT64", "BOOL", "BF16", "BYTES"])
def test_large_arrays_are_written_in_pieces_that_nobody_sees(count, datatype):
    numbers = np.random.default_rng(count).integers(0, 2, count)
    text = datatype == "BYTES"
    array = of_bytes([b"a"] * count, (count,)) if text else numbers.astype(DTYPES[datatype])
    written = to_json(array, "y")
    assert (to_array(json.loads(written), datatype, (count,), "y") == array).all()
    if datatype == "FP32":
        array[-1] = np.nan
        written = load_json(to_json(array, "y"))
        assert np.isnan(written[-1])
        assert written[:-1] == array[:-1].tolist()
