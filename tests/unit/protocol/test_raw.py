import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from serve_app.errors import InvalidArgument
from serve_app.protocol import raw
from tests.unit.arrays import DATATYPES, DTYPES, arrays, of_bytes, same

anything = st.sampled_from(DATATYPES).flatmap(lambda name: st.tuples(st.just(name), arrays(name)))


@given(anything)
def test_every_datatype_and_shape_comes_back_bit_for_bit(case):
    datatype, array = case
    assert same(array, raw.decode(raw.encode(array), datatype, array.shape, "x"))


@given(arrays("BYTES"))
def test_bytes_are_laid_out_as_triton_lays_them_out(array):
    theirs = serialize_byte_tensor(array)
    expected = theirs.item() if theirs.size else b""
    assert raw.encode(array) == expected
    ours = raw.decode(expected, "BYTES", array.shape, "x")
    assert ours.ravel().tolist() == deserialize_bytes_tensor(expected).tolist()


@given(arrays("BF16"))
def test_bf16_is_the_upper_half_of_a_float32(array):
    with np.errstate(invalid="ignore"):
        numbers = array[~np.isnan(array)]  # to widen a signalling NaN is an invalid operation
    upper = b"".join(struct.pack("<f", value)[2:] for value in numbers.astype(np.float32).ravel())
    assert raw.encode(numbers) == upper


@pytest.mark.parametrize(
    ("datatype", "code", "values"),
    [
        ("INT8", "b", [-128, 0, 127]),
        ("UINT16", "H", [0, 256, 65535]),
        ("INT32", "i", [-(2**31), -2, 2**31 - 1]),
        ("UINT64", "Q", [0, 2**63, 2**64 - 1]),
        ("FP16", "e", [0.5, -65504.0, float("inf")]),
        ("FP32", "f", [0.5, -0.0, 2.0**-149]),
        ("FP64", "d", [0.1, -1e308, 5e-324]),
        ("BOOL", "?", [True, False, True]),
    ],
)
def test_little_endian_as_struct_writes_it(datatype, code, values):
    wire = struct.pack(f"<3{code}", *values)
    array = np.array(values, dtype=DTYPES[datatype])
    assert raw.encode(array) == wire
    assert same(array, raw.decode(wire, datatype, (3,), "x"))


def test_encoding_follows_the_rows_of_a_transposed_or_sliced_array():
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert raw.encode(array.T[::2]) == struct.pack("<6i", 0, 4, 8, 2, 6, 10)
    words = of_bytes([b"a", b"bc", b"", b"d"], (2, 2))
    assert raw.encode(words.T) == raw.encode(of_bytes([b"a", b"", b"bc", b"d"], (4,)))


def test_any_nonzero_byte_is_true():
    assert raw.decode(b"\x00\x01\x02\xff", "BOOL", (4,), "x").tolist() == [False, True, True, True]


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
@pytest.mark.parametrize("off", [-1, 1])
def test_a_wrong_length_names_tensor_expected_and_got(datatype, off):
    expected = 6 * DTYPES[datatype].itemsize
    with pytest.raises(
        InvalidArgument, match=rf"'x'.*{datatype}.*\[2, 3\].*{expected}.*{expected + off}"
    ):
        raw.decode(bytes(expected + off), datatype, (2, 3), "x")


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        (b"", (1,), "at least 4 bytes, got 0"),
        (b"\x01\x00\x00", (1,), "at least 4 bytes, got 3"),
        (b"\x02\x00\x00\x00a", (1,), "element 0 says 2 bytes, but 1 are left"),
        (b"\xff\xff\xff\xffa", (1,), "says 4294967295 bytes"),
        (b"\x05\x00\x00\x00hello\x00\x00", (2,), "inside the length of element 1"),
        (b"\x00\x00\x00\x00!", (1,), "1 bytes left over after 1 elements"),
        (b"x", (0,), "1 bytes left over after 0 elements"),
        (b"", (2**40,), "at least"),  # refused before anything of that size is allocated
    ],
)
def test_bytes_that_lie_about_their_lengths(data, shape, message):
    with pytest.raises(InvalidArgument, match=message):
        raw.decode(data, "BYTES", shape, "x")


@given(st.sampled_from(DATATYPES), st.binary(max_size=64), st.lists(st.integers(0, 2**20), max_size=4))
def test_arbitrary_bytes_are_read_or_refused(datatype, data, shape):
    try:
        array = raw.decode(data, datatype, tuple(shape), "x")
    except InvalidArgument:
        return
    assert array.shape == tuple(shape)
    if datatype != "BOOL":
        assert raw.encode(array) == data


@pytest.mark.parametrize("datatype", ["FLOAT", "fp32", "", None, 3, ["FP32"]])
def test_an_unknown_datatype_is_refused_with_the_list(datatype):
    with pytest.raises(InvalidArgument, match=r"'x'.*BOOL, .*BYTES"):
        raw.decode(b"", datatype, (0,), "x")
