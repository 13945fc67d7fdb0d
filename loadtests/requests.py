"""Requests as the load generators send them: encoded once, the same bytes for every server."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import orjson

from loadtests.payloads import PIXELS, SENTENCES, TEXTS
from serve_app.protocol import inference_pb2 as pb

GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Request:
    """One encoded request: an HTTP body, or a protobuf message when `grpc`."""

    model: str
    body: bytes
    grpc: bool = False
    json_length: int | None = None  # with binary tensors behind the JSON

    @property
    def path(self) -> str:
        """The URL's path."""
        return GRPC_PATH if self.grpc else f"/v2/models/{self.model}/infer"

    @property
    def headers(self) -> dict[str, str]:
        """What an HTTP client sends with it."""
        if self.json_length is None:
            return {"Content-Type": "application/json"}
        return {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(self.json_length),
        }


def json_request(model: str, name: str, datatype: str, data: list[Any], shape: list[int]) -> Request:
    """A V2 request in JSON alone."""
    tensor = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    return Request(model, orjson.dumps({"inputs": [tensor]}))


def binary_request(model: str, size: int, grpc: bool) -> Request:
    """FP32 [1, size / 4] as raw bytes, both ways."""
    array = np.arange(size // 4, dtype=np.float32)
    raw, shape = array.tobytes(), [1, size // 4]
    if grpc:
        message = pb.ModelInferRequest(model_name=model, raw_input_contents=[raw])
        message.inputs.add(name="x", datatype="FP32", shape=shape)
        return Request(model, message.SerializeToString(), grpc=True)
    tensor = {"name": "x", "shape": shape, "datatype": "FP32"}
    head = orjson.dumps(
        {
            "inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}],
            "parameters": {"binary_data_output": True},
        }
    )
    return Request(model, head + raw, json_length=len(head))


def echo(model: str = "identity") -> Request:
    """FP32 [1, 4] in JSON."""
    return json_request(model, "x", "FP32", [1.5, -2.25, 3.125, 4.0], [1, 4])


@cache
def digits(rows: int = 1) -> tuple[Request, ...]:
    """Ten requests, each of `rows` handwritten digits."""
    return tuple(
        json_request("digits", "pixels", "FP32", np.tile(PIXELS[i], rows).tolist(), [rows, 64])
        for i in range(len(PIXELS))
    )


@cache
def sentences(rows: int = 1, model: str = "sentences") -> tuple[Request, ...]:
    """`rows` texts per request; lengths as they come, from one word to 140."""
    texts = [[TEXTS[(i + j) % len(TEXTS)] for j in range(rows)] for i in range(0, len(TEXTS), rows)]
    return tuple(json_request(model, "text", "BYTES", some, [rows]) for some in texts)


def queries() -> tuple[Request, ...]:
    """One sentence per request, about fifteen words: what a search box sends."""
    return tuple(json_request("sentences", "text", "BYTES", [text], [1]) for text in SENTENCES)
