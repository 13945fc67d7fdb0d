"""Requests as the load generators send them: encoded once, the same bytes for every server."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from loadtests.payloads import PIXELS, SENTENCES, TEXTS
from serve_app.protocol import client
from serve_app.protocol.tensors import Arrays


@dataclass(frozen=True)
class Request:
    """One encoded request: an HTTP body, or a protobuf message when `grpc`."""

    model: str
    body: bytes
    grpc: bool = False
    json_length: int | None = None  # with binary tensors behind the JSON
    loose: bool = False  # each server calls its one output as it likes, a row's number or [number]

    @property
    def path(self) -> str:
        """The URL's path."""
        return client.GRPC_PATH if self.grpc else client.http_path(self.model)

    @property
    def headers(self) -> dict[str, str]:
        """What an HTTP client sends with it."""
        return client.http_headers(self.json_length)


def json_request(model: str, inputs: Arrays) -> Request:
    """A V2 request in JSON alone."""
    return Request(model, client.encode_http(client.request(model, inputs))[0])


def grpc_request(model: str, inputs: Arrays) -> Request:
    """A V2 request over gRPC, its tensors as raw bytes."""
    return Request(model, client.encode_grpc(client.request(model, inputs)), grpc=True)


def binary_request(model: str, size: int, grpc: bool) -> Request:
    """FP32 [1, size / 4] as raw bytes, both ways."""
    inputs = {"x": np.arange(size // 4, dtype=np.float32).reshape(1, -1)}
    if grpc:
        return grpc_request(model, inputs)
    body, length = client.encode_http(client.request(model, inputs, binary_output=True), binary=True)
    return Request(model, body, json_length=length)


def echo(model: str = "identity") -> Request:
    """FP32 [1, 4] in JSON."""
    return json_request(model, {"x": np.array([[1.5, -2.25, 3.125, 4.0]], dtype=np.float32)})


@cache
def digits(rows: int = 1) -> tuple[Request, ...]:
    """Ten requests, each of `rows` handwritten digits."""
    return tuple(json_request("digits", {"pixels": np.tile(digit, (rows, 1))}) for digit in PIXELS)


@cache
def flowers(model: str) -> tuple[Request, ...]:
    """Ten requests, each of one flower's four measures."""
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]], np.float32)
    some = [rows[at % 3] + np.float32(at / 10) for at in range(10)]
    made = (json_request(model, {"input-0": row[None].round(1)}) for row in some)
    return tuple(replace(one, loose=True) for one in made)


@cache
def sentences(rows: int = 1, model: str = "sentences") -> tuple[Request, ...]:
    """`rows` texts per request; lengths as they come, from one word to 140."""
    texts = [[TEXTS[(i + j) % len(TEXTS)] for j in range(rows)] for i in range(0, len(TEXTS), rows)]
    return tuple(json_request(model, {"text": np.array(some)}) for some in texts)


@cache
def sentences_over_grpc() -> tuple[Request, ...]:
    """The same texts, one per request."""
    return tuple(grpc_request("sentences", {"text": np.array([text])}) for text in TEXTS)


def queries() -> tuple[Request, ...]:
    """One sentence per request, about fifteen words: what a search box sends."""
    return tuple(json_request("sentences", {"text": np.array([text])}) for text in SENTENCES)
