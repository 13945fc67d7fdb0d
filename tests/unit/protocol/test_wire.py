"""Large fields cut out of messages and put behind them, held against protobuf itself."""

import itertools

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidArgument
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.grpc_codec import decode_request, encode_response
from serve_app.protocol.tensors import InferResponse, Tensor
from serve_app.protocol.wire import LARGE, joined, split
from tests.unit.arrays import DTYPES, arrays, same

REQUEST, RESPONSE = pb.ModelInferRequest, pb.ModelInferResponse
RAWS = {
    REQUEST: REQUEST.RAW_INPUT_CONTENTS_FIELD_NUMBER,
    RESPONSE: RESPONSE.RAW_OUTPUT_CONTENTS_FIELD_NUMBER,
}
FIELD = RAWS[REQUEST]
kinds = pytest.mark.parametrize("kind", RAWS)


def varint(value: int, length: int = 1) -> bytes:
    """At least `length` bytes: longer than needed is allowed."""
    out = []
    while value > 127 or len(out) + 1 < length:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def unknown(number: int) -> st.SearchStrategy[bytes]:
    """A field of that number in every wire type but groups."""
    values = {
        0: st.integers(0, 2**64 - 1).map(varint),
        1: st.binary(min_size=8, max_size=8),
        2: st.binary(max_size=200).map(lambda data: varint(len(data)) + data),
        5: st.binary(min_size=4, max_size=4),
    }
    return st.sampled_from(sorted(values)).flatmap(
        lambda wire: values[wire].map(lambda value: varint(number << 3 | wire) + value)
    )


def fields(kind) -> st.SearchStrategy[list[bytes]]:
    """Encoded fields: one after the other in any order, they are a message."""
    text, raws = st.text(max_size=5), kind.DESCRIPTOR.fields_by_number[RAWS[kind]].name
    tensors = "inputs" if kind is REQUEST else "outputs"
    tensor = st.fixed_dictionaries(
        {"name": text, "datatype": text, "shape": st.lists(st.integers(0, 9), max_size=3)}
    )
    known = st.one_of(
        text.map(lambda value: kind(model_name=value, id=value)),
        st.integers(-9, 9).map(lambda value: kind(parameters={"p": {"int64_param": value}})),
        tensor.map(lambda entry: kind(**{tensors: [entry]})),
        st.binary(max_size=200).map(lambda value: kind(**{raws: [value]})),
    )
    wrongly_typed = st.integers(0, 2**64 - 1).map(lambda n: varint(RAWS[kind] << 3) + varint(n))
    others = unknown(100) | unknown(2**29 - 1) | wrongly_typed
    return st.lists(known.map(lambda message: message.SerializeToString()) | others, max_size=12)


def parsed(kind, data: bytes):
    """The message, or None where protobuf refuses it."""
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


def parsed_in_parts(kind, data: bytes):
    rest, values = split(data, RAWS[kind])
    message = parsed(kind, rest)
    if message is not None:
        getattr(message, kind.DESCRIPTOR.fields_by_number[RAWS[kind]].name).extend(map(bytes, values))
    return message


@kinds
@given(data=st.data())
def test_a_message_in_parts_is_the_message(kind, data):
    whole = b"".join(data.draw(fields(kind)))
    assert parsed_in_parts(kind, whole) == parsed(kind, whole) is not None
    rest, values = split(whole, RAWS[kind])
    assert not split(rest, RAWS[kind])[1]
    assert parsed(kind, b"".join(joined(rest, RAWS[kind], values))) == parsed(kind, whole)


@given(parts=fields(REQUEST), cut=st.integers(0, 300))
def test_a_message_cut_short_is_read_as_protobuf_reads_it(parts, cut):
    data = b"".join(parts)[:cut]
    assert parsed_in_parts(REQUEST, data) == parsed(REQUEST, data)


@given(st.binary(max_size=40))
def test_garbage_is_read_as_protobuf_reads_it(data):
    assert parsed_in_parts(REQUEST, data) == parsed(REQUEST, data)


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300)))
def test_values_come_back_in_order(message, values):
    message = REQUEST(model_name=message.hex()).SerializeToString()
    data = b"".join(joined(message, FIELD, values))
    assert data == message + REQUEST(raw_input_contents=values).SerializeToString()
    assert split(data, FIELD) == (message, values)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 2**14 - 1, 2**14, 2**21])
def test_lengths_of_every_size(size):
    value = bytes(size)
    data = b"".join(joined(b"", FIELD, [value, b""]))
    assert REQUEST.FromString(data).raw_input_contents == [value, b""]
    assert split(data, FIELD) == (b"", [value, b""])


@pytest.mark.parametrize("length", range(1, 11))
def test_lengths_may_be_longer_than_needed(length):
    data = varint(FIELD << 3 | 2, min(length, 5)) + varint(3, length) + b"abc"
    assert split(data, FIELD) == (b"", [b"abc"])
    assert parsed(REQUEST, data).raw_input_contents == [b"abc"]


BEFORE = REQUEST(raw_input_contents=[b"abc"]).SerializeToString()


@pytest.mark.parametrize(
    "rest",
    [
        varint(100 << 3 | 3) + b"\x08\x01" + varint(100 << 3 | 4),  # a group, which protobuf reads
        varint(100 << 3 | 4), varint(100 << 3 | 6) + b"1234", varint(100 << 3 | 7),
        b"\x80", varint(100 << 3), varint(100 << 3) + b"\xff" * 10 + b"\x01", b"\xff" * 10 + b"\x01",
        varint(100 << 3 | 2), varint(100 << 3 | 2) + b"\x03ab", varint(FIELD << 3 | 2) + b"\x03ab",
        varint(FIELD << 3 | 2) + varint(2**63) + b"ab", varint(FIELD << 3 | 2) + b"\xff" * 10 + b"\x01",
    ],
    ids=["group", "end of group", "wire type 6", "wire type 7", "half a tag", "no varint",
         "long varint", "long tag", "no length", "cut short", "raw cut short", "huge", "long length"],
)  # fmt: skip
def test_what_is_not_understood_comes_back_whole(rest):
    data = BEFORE + rest
    for form in (data, memoryview(data), bytearray(data)):
        assert split(form, FIELD) == (data, [])
    assert parsed_in_parts(REQUEST, data) == parsed(REQUEST, data)


@pytest.mark.parametrize("number", [1, 5])
def test_a_fixed_field_cut_short_is_left_for_protobuf_to_refuse(number):
    data = BEFORE + varint(100 << 3 | number) + b"123"
    assert parsed_in_parts(REQUEST, data) is parsed(REQUEST, data) is None


def test_values_are_views_of_what_came():
    data = bytearray(b"".join(joined(REQUEST(id="i").SerializeToString(), FIELD, [b"abc", b"de"])))
    _, (first, second) = split(data, FIELD)
    data[data.index(b"abc")] = ord("z")
    assert (bytes(first), bytes(second)) == (b"zbc", b"de")
    values = [bytes(LARGE), memoryview(bytes(LARGE))]
    parts = joined(b"head", FIELD, values)
    assert [part for part in parts if len(part) == LARGE] == values
    assert any(part is values[0] for part in parts)
    assert any(part is values[1] for part in parts)


def message(*tensors: Tensor, raws: list[bytes] | None = None, **contents) -> bytes:
    entries = [
        {"name": t.name, "datatype": t.datatype, "shape": t.data.shape} | contents for t in tensors
    ]
    if raws is None:
        raws = [part for part in encode_raws(*tensors) if not contents]
    return REQUEST(model_name="m", inputs=entries, raw_input_contents=raws).SerializeToString()


def encode_raws(*tensors: Tensor) -> list[bytes]:
    answer = b"".join(encode_response(InferResponse("m", "1", "", list(tensors)), typed=False))
    return list(RESPONSE.FromString(answer).raw_output_contents)


def padded(data: bytes) -> bytes:
    """The same request, large: an unknown field more."""
    return data + varint(100 << 3 | 2) + varint(LARGE) + bytes(LARGE)


several = st.lists(
    st.sampled_from(sorted(DTYPES)).flatmap(lambda name: st.tuples(st.just(name), arrays(name))),
    min_size=1,
    max_size=3,
).map(lambda many: [Tensor(f"t{i}", *one) for i, one in enumerate(many)])


@given(several)
def test_a_large_message_is_decoded_like_a_small_one(tensors):
    small = message(*tensors)
    for data in (padded(small), memoryview(padded(small))):
        request, typed = decode_request(data)
        assert not typed
        assert (request.model, request.outputs) == ("m", None)
        expected, _ = decode_request(small)
        for before, tensor, other in zip(tensors, request.inputs, expected.inputs, strict=True):
            assert (tensor.name, tensor.datatype) == (before.name, before.datatype)
            assert same(before.data, tensor.data)
            assert same(before.data, other.data)


def test_a_large_typed_message():
    array = np.arange(LARGE, dtype=np.float64)
    request, typed = decode_request(
        message(Tensor("x", "FP64", array), raws=[], contents={"fp64_contents": array})
    )
    assert typed
    assert same(array, request.inputs[0].data)


@pytest.mark.parametrize("size", [LARGE // 4 - 100, LARGE // 4, 2**20])
def test_a_large_tensor_is_a_view_of_the_message(size):
    array = np.arange(size, dtype=np.float32)
    data = message(Tensor("x", "FP32", array))
    request, _ = decode_request(data)
    got = request.inputs[0].data
    assert same(array, got)
    assert not got.flags.writeable
    assert np.shares_memory(got, np.frombuffer(data, np.uint8)) == (len(data) >= LARGE)


LONG = Tensor("x", "UINT8", np.zeros(LARGE, np.uint8))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (message(LONG, raws=[bytes(LARGE)], contents={"fp32_contents": [1]}), "never in both"),
        (message(LONG, raws=[bytes(LARGE), b""]), r"one entry per input \(1\), got 2"),
        (message(LONG, LONG, raws=[bytes(LARGE)]), r"one entry per input \(2\), got 1"),
        (message(raws=[bytes(LARGE)]), r"one entry per input \(0\), got 1"),
        (message(LONG, raws=[bytes(LARGE + 1)]), "'x'.*takes 65536 bytes, got 65537"),
        (message(LONG, raws=[bytes(LARGE)])[:-1], "not a valid inference.ModelInferRequest"),
        (message(LONG, raws=[bytes(LARGE)]) + b"\xff", "not a valid inference.ModelInferRequest"),
        (b"\xff" * LARGE, "not a valid inference.ModelInferRequest"),
    ],
    ids=["both", "a raw too many", "a raw missing", "no inputs", "length", "cut", "garbage behind",
         "garbage"],
)  # fmt: skip
def test_what_is_wrong_with_a_large_message(data, says):
    with pytest.raises(InvalidArgument, match=says):
        decode_request(data)


def test_a_large_answer_that_nobody_may_change_goes_out_as_it_is():
    fixed, open_ = np.arange(LARGE, dtype=np.int32).reshape(2, -1), np.ones(LARGE, np.float32)
    fixed.flags.writeable = False
    tensors = [Tensor("a", "INT32", fixed), Tensor("b", "FP32", open_), Tensor("c", "INT32", fixed.T)]
    parts = encode_response(InferResponse("m", "1", "", tensors), typed=False)
    large = [np.frombuffer(part, np.uint8) for part in parts if len(part) >= LARGE]
    assert [np.shares_memory(part, fixed) for part in large] == [True, False, False]
    assert not any(np.shares_memory(part, open_) for part in large)
    answer = RESPONSE.FromString(b"".join(parts))
    assert list(answer.raw_output_contents) == [tensor.data.tobytes() for tensor in tensors]


def test_what_is_sent_does_not_change_with_a_writable_array():
    array = np.zeros(LARGE, np.uint8)
    parts = encode_response(InferResponse("m", "1", "", [Tensor("a", "UINT8", array)]), typed=False)
    array[:] = 1
    assert not any(itertools.chain.from_iterable(part for part in parts if len(part) >= LARGE))


@pytest.mark.parametrize("datatype", sorted(DTYPES))
def test_large_answers_of_every_datatype(datatype):
    array = np.zeros(LARGE, DTYPES[datatype])
    if datatype == "BYTES":
        array[:] = [b"word"] * LARGE
    array.flags.writeable = False
    tensor = Tensor("a", datatype, array)
    answer = RESPONSE.FromString(
        b"".join(encode_response(InferResponse("m", "1", "", [tensor]), typed=False))
    )
    back = message(tensor, raws=list(answer.raw_output_contents))
    assert same(array, decode_request(back)[0].inputs[0].data)
