"""Whether servers answer alike: the same bytes go to each, and what comes back must be equal."""

import http.client
from typing import Any

import grpc
import numpy as np
import orjson

from loadtests.bench.points import Point, Request
from loadtests.bench.servers import Server
from serve_app.protocol import inference_pb2 as pb

_NUMPY = {"FP32": np.float32, "INT64": np.int64}
_CLOSE = 1e-3  # floats of models may differ by rounding, as batches differ
Answer = dict[str, Any]


class Refused(Exception):
    """The server doesn't answer this kind of request."""


def ask(server: Server, point: Point, request: Request) -> Answer:
    """One request, its answer as arrays by name; Refused when it is an error."""
    if request.grpc:
        return _ask_grpc(server.port(point), request)
    client = http.client.HTTPConnection("127.0.0.1", server.port(point), timeout=60)
    try:
        client.request("POST", request.path, request.body, request.headers)
        answer = client.getresponse()
        body = answer.read()
    finally:
        client.close()
    if answer.status != 200:
        raise Refused(f"{answer.status} {body[:200].decode('utf-8', 'replace')}")
    length = answer.headers.get("inference-header-content-length")
    head = orjson.loads(body[: int(length)] if length else body)
    outputs, at = {}, int(length or 0)
    for tensor in head["outputs"]:
        kind = _NUMPY[tensor["datatype"]]
        if "data" in tensor:
            data = np.array(tensor["data"], dtype=kind)
        else:
            size = tensor["parameters"]["binary_data_size"]
            data, at = np.frombuffer(body[at : at + size], dtype=kind), at + size
        outputs[tensor["name"]] = data.reshape(tensor["shape"])
    return outputs


def _ask_grpc(port: int, request: Request) -> Answer:
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        try:
            raw = channel.unary_unary(request.path)(request.body, timeout=60, wait_for_ready=True)
        except grpc.RpcError as error:
            raise Refused(str(error)[:200]) from None
    answer = pb.ModelInferResponse.FromString(raw)
    if len(answer.raw_output_contents) != len(answer.outputs):
        raise Refused("raw contents were sent, others came back")
    return {
        tensor.name: np.frombuffer(data, dtype=_NUMPY[tensor.datatype]).reshape(tensor.shape)
        for tensor, data in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


class Answers:
    """Remembers the first answer to each request and holds every later one against it."""

    def __init__(self) -> None:
        self._known: dict[Request, tuple[str, Answer]] = {}

    def check(self, server: Server, point: Point) -> None:
        """Ask everything the point asks, once; RuntimeError when an answer differs."""
        for request in dict.fromkeys(point.requests):
            got = ask(server, point, request)
            first, known = self._known.setdefault(request, (server.name, got))
            if got.keys() != known.keys():
                raise RuntimeError(
                    f"{point.key}: {server.name} gives {list(got)}, {first} {list(known)}"
                )
            for name, array in known.items():
                if got[name].shape != array.shape or not np.allclose(got[name], array, atol=_CLOSE):
                    raise RuntimeError(f"{point.key}: {server.name} and {first} differ in '{name}'")
