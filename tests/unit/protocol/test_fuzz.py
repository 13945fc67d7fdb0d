"""Whatever comes over the wire is decoded or refused with InvalidArgument, in bounded memory."""

import json
import random
import tracemalloc
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.protocol import grpc_codec, rest_codec, v1_codec
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferResponse, TensorSpec

BODY = {
    "id": "i",
    "parameters": {"binary_data_output": True, "timeout": 5},
    "inputs": [
        {"name": "a", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2.5], [-3e4, 4]]},
        {"name": "b", "datatype": "BYTES", "shape": [2], "data": ["x", "é"]},
        {"name": "c", "datatype": "INT64", "shape": [1], "data": [7]},
        {"name": "d", "datatype": "UINT8", "shape": [3], "parameters": {"binary_data_size": 3}},
        {"name": "e", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}},
    ],
    "outputs": [{"name": "y", "parameters": {"binary_data": False}}],
}
BINARY = b"\1\2\3\2\0\0\0hi"
ODD = [
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**63), 1e308, float("nan"), float("inf"), "",
    "NaN",
    "FP16", "BOOL", "BYTES", "UINT64", [], {}, [[]], [1, [2]], [None], ["a", 1], [True, 1], [2**64, 1],
    [0, 2**61],
    {"a": None}, [-1], [1] * 40, "x" * 50, [[[[[1]]]]],
]  # fmt: skip


@contextmanager
def bounded_memory(limit: int = 64 * 2**20):
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit


def read(body: bytes, length: int | None) -> bool:
    """Whether it was decoded; the answer of an echoing model must then be encodable too."""
    try:
        request = rest_codec.decode_request(body, length, "m", "1")
    except InvalidArgument:
        return False
    response = InferResponse("m", "1", request.id, request.inputs)
    request.outputs, request.binary_output = None, True
    rest_codec.encode_response(response, request)
    return True


def spots(value: object, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON value but the top."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [place for key, item in inner for place in [(*path, key), *spots(item, (*path, key))]]


def mutated(rng: random.Random) -> dict:
    body = json.loads(json.dumps(BODY))
    for _ in range(rng.randint(1, 3)):
        *way, last = rng.choice(spots(body))
        holder = body
        for step in way:
            holder = holder[step]
        match rng.randint(0, 3):
            case 0:
                del holder[last]
            case 1 if isinstance(holder, list):
                holder.append(deepcopy(rng.choice(ODD)))
            case _:
                holder[last] = deepcopy(rng.choice(ODD))
        if not spots(body):
            break
    return body


def test_mutated_json():
    rng, decoded = random.Random(1), 0
    assert read(json.dumps(BODY).encode() + BINARY, len(json.dumps(BODY).encode()))
    with bounded_memory():
        for _ in range(1500):
            text = json.dumps(mutated(rng)).encode()
            decoded += read(text + BINARY, len(text))
    assert 50 < decoded < 1450  # the mutations hit both sides


def test_mutated_bytes_and_lying_lengths():
    rng = random.Random(2)
    text = json.dumps(BODY).encode()
    whole = text + BINARY
    with bounded_memory():
        for _ in range(3000):
            data = bytearray(whole)
            for _ in range(rng.randint(0, 4)):
                place = rng.randrange(len(data))
                match rng.randint(0, 2):
                    case 0:
                        data[place] = rng.randrange(256)
                    case 1:
                        del data[place : place + rng.randint(1, 9)]
                    case 2:
                        data[place:place] = rng.choice(
                            [b"[", b"NaN", b"9" * 30, b"null", b"\\ud800", b"\xff", b'"']
                        )
            near = len(text) + rng.randint(-3, 3)
            read(bytes(data), rng.choice([None, 0, near, near, -1, len(data), len(data) + 1, 2**60]))


@pytest.mark.parametrize("size", [-1, 0, 1, 4, 11, 12, 13, 2**31, 2**63, 2**64, 1e3, None, "4", True])
@pytest.mark.parametrize("datatype", ["BYTES", "FP64", "BOOL", "BF16"])
def test_lying_binary_sizes(datatype, size):
    for shape in ([1], [0], [3], [2**40], [2**59], [0, 2**59], []):
        entry = {
            "name": "x",
            "datatype": datatype,
            "shape": shape,
            "parameters": {"binary_data_size": size},
        }
        text = json.dumps({"inputs": [entry]}).encode()
        for binary in (b"", bytes(8), b"\xff" * 12, b"\4\0\0\0abcd\0\0\0\0"):
            read(text + binary, len(text))


def message() -> pb.ModelInferRequest:
    value = pb.InferParameter
    return pb.ModelInferRequest(
        model_name="m",
        id="i",
        parameters={"a": value(int64_param=3), "b": value(string_param="s")},
        outputs=[{"name": "y"}],
        inputs=[
            {"name": "a", "datatype": "FP32", "shape": [2], "contents": {"fp32_contents": [1, 2]}},
            {"name": "b", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"\xff"]}},
            {"name": "c", "datatype": "INT8", "shape": [2], "contents": {"int_contents": [1, -2]}},
        ],
    )


def read_grpc(data: bytes) -> bool:
    try:
        request, typed = grpc_codec.decode_request(data)
    except InvalidArgument:
        return False
    response = InferResponse("m", "1", request.id, request.inputs)
    pb.ModelInferResponse.FromString(b"".join(grpc_codec.encode_response(response, typed)))
    return True


def test_mutated_and_random_protobuf():
    rng, decoded = random.Random(3), 0
    typed = message().SerializeToString()
    raw = message()
    for entry in raw.inputs:
        entry.ClearField("contents")
    raw.raw_input_contents.extend([bytes(8), b"\2\0\0\0hi", b"\1\2"])
    seeds = [typed, raw.SerializeToString()]
    assert all(map(read_grpc, seeds))
    with bounded_memory():
        for _ in range(4000):
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randint(1, 4)):
                place = rng.randrange(len(data))
                if rng.random() < 0.7:
                    data[place] = rng.randrange(256)
                elif rng.random() < 0.5:
                    del data[place]
                else:
                    data[place:place] = rng.randbytes(rng.randint(1, 6))
            decoded += read_grpc(bytes(data))
        for _ in range(2000):
            read_grpc(rng.randbytes(rng.randint(0, 60)))
    assert decoded > 100


def test_v1_bodies():
    rng = random.Random(4)
    version = VersionDescription([TensorSpec("x", "FP32", (-1, 2))], [])
    for _ in range(3000):
        body = {"instances": [[1, 2], [3, 4]]} if rng.random() < 0.5 else {"inputs": {"x": [[1, 2]]}}
        *way, last = rng.choice(spots(body))
        holder = body
        for step in way:
            holder = holder[step]
        holder[last] = deepcopy(rng.choice(ODD))
        try:
            request, by_row = v1_codec.decode_request(json.dumps(body).encode(), "m", version)
        except InvalidArgument:
            continue
        assert request.inputs[0].data.dtype == np.float32
        v1_codec.encode_response(InferResponse("m", "1", "i", request.inputs), by_row)
