import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidArgument
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.grpc_codec import decode_request, encode_response, parse
from serve_app.protocol.tensors import InferResponse, RequestedOutput, Tensor
from tests.unit.arrays import DATATYPES, DTYPES, arrays, of_bytes, same

FIELDS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}  # fmt: skip


def several(datatypes):
    one = st.sampled_from(sorted(datatypes)).flatmap(lambda d: st.tuples(st.just(d), arrays(d)))
    return st.lists(one, min_size=1, max_size=4).map(
        lambda many: [(f"t{i}", datatype, array) for i, (datatype, array) in enumerate(many)]
    )


@pytest.fixture(scope="module")
def triton():
    """Calls a function of triton_peer.py in its process."""
    script = Path(__file__).with_name("triton_peer.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as peer:

        def call(name, argument):
            frame = pickle.dumps((name, argument))
            peer.stdin.write(struct.pack("<I", len(frame)) + frame)
            peer.stdin.flush()
            (length,) = struct.unpack("<I", peer.stdout.read(4))
            return pickle.loads(peer.stdout.read(length))

        yield call
        peer.stdin.close()


@given(tensors=several(DATATYPES))
def test_raw_requests_of_tritons_client(triton, tensors):
    request, typed = decode_request(triton("raw_request", tensors))
    assert not typed
    assert (request.model, request.version, request.id) == ("m", "2", "id-1")
    assert request.outputs == [RequestedOutput("y")]
    assert request.parameters == {"flag": True, "n": 7, "s": "text"}
    assert [(t.name, t.datatype) for t in request.inputs] == [(n, d) for n, d, _ in tensors]
    assert all(same(s[2], got.data) for s, got in zip(tensors, request.inputs, strict=True))


@given(tensors=several(FIELDS))
def test_typed_requests_made_of_tritons_messages(triton, tensors):
    wire = triton("typed_request", [(n, d, FIELDS[d], array) for n, d, array in tensors])
    request, typed = decode_request(wire)
    assert typed
    assert request.outputs is None
    for (_, _, array), got in zip(tensors, request.inputs, strict=True):
        assert same(array, got.data, nan_payloads=False)


@given(tensors=several(DATATYPES))
def test_tritons_client_reads_raw_answers(triton, tensors):
    response = InferResponse("m", "3", "id-2", [Tensor(*tensor) for tensor in tensors])
    head, outputs = triton("read_response", b"".join(encode_response(response, False)))
    assert head == ("m", "3", "id-2")
    for name, datatype, array in tensors:
        got_datatype, got_shape, got = outputs[name]
        assert (got_datatype, tuple(got_shape)) == (datatype, array.shape)
        if datatype == "BYTES":
            assert got.ravel().tolist() == array.ravel().tolist()
        else:
            assert same(array, got)


@given(tensors=several(FIELDS))
def test_typed_answers_hold_the_values_in_the_right_field(triton, tensors):
    response = InferResponse("m", "3", "id-2", [Tensor(*tensor) for tensor in tensors])
    outputs = triton("read_typed_response", b"".join(encode_response(response, True)))
    for name, datatype, array in tensors:
        values = outputs[name].get(FIELDS[datatype], [])
        assert list(outputs[name]) == ([FIELDS[datatype]] if array.size else [])
        back = (
            of_bytes(values, (len(values),))
            if datatype == "BYTES"
            else np.array(values, DTYPES[datatype])
        )
        assert same(array.ravel(), back, nan_payloads=False)


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_one_tensor_without_a_typed_form_makes_the_whole_answer_raw(datatype):
    half = Tensor("half", datatype, np.ones(2, dtype=DTYPES[datatype]))
    parts = encode_response(
        InferResponse("m", "1", "i", [half, Tensor("n", "INT8", np.ones(1, "i1"))]), True
    )
    answer = pb.ModelInferResponse.FromString(b"".join(parts))
    assert len(answer.raw_output_contents) == 2
    assert not any(entry.HasField("contents") for entry in answer.outputs)


def request(*inputs: dict, raws: tuple[bytes, ...] = (), **extra) -> bytes:
    return pb.ModelInferRequest(
        model_name="m", inputs=list(inputs), raw_input_contents=raws, **extra
    ).SerializeToString()


def x(field: str | None = None, values=(), **entry) -> dict:
    contents = {"contents": {field: values}} if field else {}
    return {"name": "x", "datatype": "INT32", "shape": [2]} | contents | entry


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (request(x("int_contents", [1, 2]), raws=(b"12345678",)), "never in both"),
        (request(x(), raws=(b"12345678", b"")), r"one entry per input \(1\), got 2"),
        (request(x(), x(name="y"), raws=(b"12345678",)), "got 1"),
        (request(raws=(b"",)), r"per input \(0\)"),
        (request(x(), raws=(b"1234567",)), "'x'.*takes 8 bytes, got 7"),
        (request(x("int_contents", [1, 2, 3])), r"'x': shape \[2\] takes 2 elements, got 3"),
        (request(x()), "takes 2 elements, got 0"),
        (request(x("int64_contents", [1, 2])), "'x': INT32 belongs in int_contents, got int64_contents"),
        (request(x("fp32_contents", [1, 2], datatype="FP64")), "FP64 belongs in fp64_contents"),
        (request(x(contents={"int_contents": [1, 2], "bool_contents": [True]})), "belongs in"),
        (request(x(datatype="FP16")), "'x': FP16 must come in raw_input_contents"),
        (request(x(datatype="BF16")), "'x': BF16 must come in raw_input_contents"),
        (request(x(datatype="")), "'x': datatype must be one of"),
        (request(x(shape=[-1])), "'x': shape must hold integers of at least 0"),
        (request(x(shape=[2**62, 4])), "'x': shape .* too large"),
        (request(x(shape=[2**61, 0], datatype="FP64")), "'x': shape .* too large"),
        (request(x(shape=[2**61, 0], datatype="FP64"), raws=(b"",)), "'x': shape .* too large"),
        (request(x(shape=[2**40])), "takes 1099511627776 elements, got 0"),
        (request(x(shape=[2**40], datatype="BYTES"), raws=(b"",)), "takes at least"),
        (request(x(name="")), r"inputs\[0\].name must be a non-empty string"),
        (request(outputs=[{"name": ""}]), r"outputs\[0\].name must be a non-empty string"),
        (request(x("int_contents", [1, 2], parameters={"shared_memory_region": {"string_param": "r"}})),
         "not supp"),
        (request(outputs=[{"name": "y", "parameters": {"classification": {"int64_param": 0}}}]),
         "'y': classification must be an integer of at least 1, got 0"),
        (request(outputs=[{"name": "y", "parameters": {"classification": {"string_param": "3"}}}]),
         "an integer of at least 1, got '3'"),
        (b"\xff", "not a valid inference.ModelInferRequest"),
        (b"\x0a\x05ab", "not a valid inference.ModelInferRequest"),
        (b"\x0a\x02\xff\xfe", "not a valid inference.ModelInferRequest"),  # a name that isn't UTF-8
    ],
)  # fmt: skip
def test_a_wrong_message_names_what_is_wrong(wire, message):
    with pytest.raises(InvalidArgument, match=message):
        decode_request(wire)


@pytest.mark.parametrize(
    ("datatype", "field", "value"),
    [
        ("INT8", "int_contents", 128), ("INT8", "int_contents", -129), ("INT16", "int_contents", 2**15),
        ("UINT8", "uint_contents", 256), ("UINT16", "uint_contents", 2**16),
    ],
)  # fmt: skip
def test_a_small_integer_out_of_range_is_refused(datatype, field, value):
    with pytest.raises(InvalidArgument, match=f"'x': a value is out of range for {datatype}"):
        decode_request(request(x(field, [0, value], datatype=datatype)))


@pytest.mark.parametrize("field", [None, "int_contents", "fp32_contents"])
def test_raw_tensors_beside_an_empty_contents_message_are_raw(field):
    contents = {field: []} if field else {}
    decoded, typed = decode_request(
        request(x(contents=contents), x(name="y"), raws=(b"\1\0\0\0\2\0\0\0",) * 2)
    )
    assert not typed
    assert [tensor.data.tolist() for tensor in decoded.inputs] == [[1, 2], [1, 2]]


def test_a_parameter_without_a_value_is_absent():
    entry = x("int_contents", [1, 2], parameters={"binary": {}})
    decoded, _ = decode_request(request(entry, parameters={"p": {}, "q": {"int64_param": 0}}))
    assert decoded.parameters == {"q": 0}


def test_every_kind_of_parameter():
    parameters = {
        "b": {"bool_param": False}, "i": {"int64_param": -(2**63)}, "s": {"string_param": ""},
        "d": {"double_param": 0.5}, "u": {"uint64_param": 2**64 - 1},
    }  # fmt: skip
    decoded, _ = decode_request(request(parameters=parameters))
    assert decoded.parameters == {"b": False, "i": -(2**63), "s": "", "d": 0.5, "u": 2**64 - 1}


def test_a_message_without_inputs_is_an_empty_request():
    decoded, typed = decode_request(b"")
    assert (decoded.model, decoded.inputs, typed) == ("", [], True)


def test_parse_fills_the_message_it_is_given():
    assert parse(pb.ModelReadyRequest(), b"\x0a\x01m\x12\x012").version == "2"
    with pytest.raises(InvalidArgument, match=r"inference.ModelReadyRequest"):
        parse(pb.ModelReadyRequest(), b"\x0a\xff")
