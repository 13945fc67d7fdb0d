"""Requests gone wrong: mutations of valid ones, the same for the same seed."""

import copy
import json
import math
import random
import struct
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from tests.conformance.clients.driver import DTYPES
from tests.conformance.rest import pixels, x

JUNK = [
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63, 2**64, -(2**63) - 1, 1e400, -1e400, math.nan, 0.5),
    *("", "x", "FP32", "BYTES", "\x00", "é" * 300, "\ud800", *DTYPES),
    *([], {}, [[]], [None], [[1], 2], {"name": "x"}, [-1], [0], [2**40] * 2),
]
KEYS = [
    *("name", "shape", "datatype", "data", "parameters", "inputs", "outputs", "id", "binary_data_size"),
    *("binary_data", "binary_data_output", "shared_memory_region", "classification", "", "surprise"),
]
ROWS = [[float(column % 17) for column in range(64)]] * 2
TEXTS = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["one", "two words"]}
FLAGS = x(datatype="BOOL", data=[True, False])
WORDS = x(datatype="BYTES", data=["a", "é"])
ASKED = [{"name": "x", "parameters": {"binary_data": False}}]
BASES: list[tuple[str, dict[str, Any]]] = [
    ("identity", {"id": "7", "inputs": [x()], "outputs": ASKED}),
    ("identity", {"inputs": [WORDS, x(name="y", datatype="INT8", data=[1, -1])]}),
    ("identity", {"inputs": [FLAGS], "parameters": {"a": 1, "binary_data_output": True}}),
    ("digits", {"inputs": [pixels(ROWS)], "outputs": [{"name": "label"}]}),
    ("digits/versions/1", {"inputs": [pixels(ROWS)], "parameters": {"b": "x"}}),
    ("digits-onnx", {"inputs": [pixels(ROWS)]}),
    ("sentences", {"inputs": [TEXTS]}),
]
_ABOUT = ["ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics", "RepositoryIndex"]


def http_request(noise: random.Random) -> tuple[str, bytes, dict[str, str]]:
    """Path, body and headers."""
    model, message = noise.choice(BASES)
    message = copy.deepcopy(message)
    headers: dict[str, str] = {}
    for _ in range(noise.randrange(4)):
        _mutate_json(noise, message)
    raw = b""
    if noise.random() < 0.4:
        raw = _binary(noise, message)
    text = json.dumps(message, ensure_ascii=noise.random() < 0.5).encode("utf-8", "surrogatepass")
    if raw or noise.random() < 0.1:
        length = (
            len(text)
            if noise.random() < 0.7
            else noise.choice([0, 1, -1, len(text) + 1, 2**70, "x", ""])
        )
        headers["Inference-Header-Content-Length"] = str(length)
    body = text + raw
    if noise.random() < 0.4:
        body = mutate_bytes(noise, body)
    for name, values in (
        ("Content-Encoding", ["gzip", "deflate", "identity", "br", "gzip, deflate", "x"]),
        ("Accept-Encoding", ["gzip", "deflate;q=0", "*", "gzip;q=x", ""]),
        ("Content-Type", ["application/json", "text/plain", "x", ""]),
    ):
        if noise.random() < 0.1:
            headers[name] = noise.choice(values)
    if noise.random() < 0.05:
        model = noise.choice(
            ["nobody", "digits/versions/9", "digits/versions/", "%00", "identity%2F", "é"]
        )
    return f"/v2/models/{model}/infer", body, headers


def _junk(noise: random.Random) -> Any:
    return copy.deepcopy(noise.choice(JUNK))  # so that none of it is mutated for good


def _mutate_json(noise: random.Random, node: Any) -> None:
    """Change one place somewhere below `node`, a non-empty container."""
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not places:
            return
        place = noise.choice(places)
        if isinstance(node[place], dict | list) and node[place] and noise.random() < 0.75:
            node = node[place]
            continue
        break
    action = noise.randrange(4)
    if action == 0:
        del node[place]
    elif action == 1 and isinstance(node, dict):
        node[noise.choice(KEYS)] = _junk(noise)
    elif action == 2 and isinstance(node, list):
        node.insert(place, _junk(noise))
    else:
        node[place] = _junk(noise)


def _binary(noise: random.Random, message: dict[str, Any]) -> bytes:
    """Move some inputs' data behind the JSON, with sizes that may lie."""
    parts = []
    inputs = message.get("inputs")
    for entry in inputs if isinstance(inputs, list) else []:
        if isinstance(entry, dict):
            raw = noise.randbytes(noise.choice([0, 1, 2, 8, 512, 511]))
            if entry.get("datatype") == "BYTES":
                raw = b"".join(
                    struct.pack("<I", noise.choice([1, 1, 1, 0, 2**32 - 1])) + b"a" for _ in range(2)
                )
            size: Any = len(raw) if noise.random() < 0.6 else _junk(noise)
            entry.pop("data", None)
            entry["parameters"] = {"binary_data_size": size}
            parts.append(raw)
    return b"".join(parts)


def mutate_bytes(noise: random.Random, data: bytes) -> bytes:
    """Flip, cut, double or insert a few bytes."""
    mutable = bytearray(data)
    for _ in range(noise.randint(1, 4)):
        at = noise.randrange(len(mutable) + 1)
        action = noise.randrange(5)
        if action == 0 and at < len(mutable):
            mutable[at] = noise.randrange(256)
        elif action == 1:
            del mutable[at : at + noise.randint(1, 8)]
        elif action == 2:
            mutable[at:at] = noise.randbytes(noise.randint(1, 8))
        elif action == 3:
            mutable[at:at] = mutable[at : at + noise.randint(1, 40)]
        elif noise.random() < 0.2:
            del mutable[at:]
    return bytes(mutable)


def grpc_request(noise: random.Random) -> tuple[str, bytes]:
    """Method and message."""
    if noise.random() < 0.15:
        method = noise.choice(_ABOUT)
        name = noise.choice(["digits", "nobody", ""])
        message = pb.ModelReadyRequest(
            name=name, version=noise.choice(["", "1", "9", "é"])
        ).SerializeToString()
        return method, message if noise.random() < 0.5 else mutate_bytes(noise, message)
    if noise.random() < 0.1:
        return "ModelInfer", noise.randbytes(noise.randrange(200))
    model, message = noise.choice(BASES)
    name, _, version = model.partition("/versions/")
    request = pb.ModelInferRequest(model_name=name, model_version=version, id="7")
    for tensor in message["inputs"]:
        entry = request.inputs.add(
            name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"]
        )
        if noise.random() < 0.5:
            request.raw_input_contents.append(noise.randbytes(noise.choice([0, 2, 8, 512])))
        else:
            entry.contents.fp32_contents.extend([1.0] * noise.choice([2, 128]))
        _mutate_tensor(noise, entry)
    if noise.random() < 0.2:
        request.parameters[noise.choice(KEYS)].string_param = "x"
    if noise.random() < 0.2:
        request.outputs.add(name=noise.choice(["x", "label", "", "odds"]))
    data = request.SerializeToString()
    return "ModelInfer", mutate_bytes(noise, data) if noise.random() < 0.5 else data


def _mutate_tensor(noise: random.Random, entry: Any) -> None:
    action = noise.randrange(8)
    if action == 0:
        entry.datatype = noise.choice([*DTYPES, "", "FP8", "é"])
    elif action == 1:
        entry.shape.append(noise.choice([-1, 0, 1, 2**62, -(2**63)]))
    elif action == 2:
        entry.name = noise.choice(["", "x", "pixels", "\x00"])
    elif action == 3:
        entry.contents.bytes_contents.append(b"\xff")
    elif action == 4:
        entry.contents.int_contents.append(300)
    elif action == 5:
        entry.parameters[noise.choice(KEYS)].int64_param = noise.choice([-1, 0, 2**62])
