"""Requests that are small on the wire and dear to take apart, with verified traffic beside them.

Nobody else's request fails, and no process takes gigabytes. Each case prints what
docs/operations.md has in its table: what others lost, the longest that one of them waited, memory.
"""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import orjson
import psutil
import pytest

from serve_app.protocol import client
from serve_app.protocol.inference_pb2 import ModelInferRequest
from tests.serve.beside import Beside
from tests.server import Server, Setup

pytestmark = [
    pytest.mark.long,
    pytest.mark.parametrize("server", [Setup("high-throughput")], ids=str, indirect=True),
]
INFER = "/v2/models/identity/infer"
SECONDS = 6.0
MOST_GREW = 2 * 2**30
X = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}


def memory(server: Server) -> int:
    """Bytes of the server's processes."""
    total = 0
    for process in psutil.Process(server.pid).children(recursive=True):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def packed(body: bytes) -> tuple[bytes, dict[str, str]]:
    return gzip.compress(body), {"Content-Encoding": "gzip"}


def many_outputs() -> tuple[bytes, dict[str, str]]:
    outputs = [{"name": f"n{number}"} for number in range(100_000)]
    return orjson.dumps({"inputs": [X], "outputs": outputs}), {}


def bomb() -> tuple[bytes, dict[str, str]]:
    return packed(b'{"inputs":[' + b" " * (60 * 2**20))


def large_json() -> tuple[bytes, dict[str, str]]:
    data = b"0," * (8 * 2**20 - 1) + b"0"
    head = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[%d],"data":[' % (8 * 2**20 + 1)
    return head + data + b"]}]}", {}


def long_id() -> tuple[bytes, dict[str, str]]:
    return packed(orjson.dumps({"id": "x" * (900 * 2**10), "inputs": [X]}))


@pytest.mark.parametrize(
    ("made", "status", "each"),
    [(many_outputs, 400, 1), (bomb, 413, 30), (large_json, 400, 1), (long_id, 200, 5)],
)
def test_over_http(
    server: Server, made: Callable[[], tuple[bytes, dict[str, str]]], status: int, each: int
) -> None:
    body, headers = made()
    held(server, made.__name__, len(body), lambda: over_http(server, body, headers, status, each))


def over_http(server: Server, body: bytes, headers: dict[str, str], status: int, each: int) -> int:
    sent = 0
    with httpx.Client(base_url=server.url, timeout=60) as http:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for _ in range(each):
                answer = http.post(INFER, content=body, headers=headers)
                assert answer.status_code == status, answer.text[:300]
                sent += 1
    return sent


@pytest.mark.parametrize("method", ["ModelInfer", "ModelStreamInfer", "ModelMetadata", "ServerLive"])
@pytest.mark.parametrize("application", [(), (("application", "tandem"),)], ids=["", "named"])
def test_over_grpc(server: Server, method: str, application: Any) -> None:
    """Kilobytes of zeros that would be 200 MB, and tiny fields by the million."""
    zeros = bytes(200 * 2**20)
    held(server, f"{method} zeros", 200_000, lambda: over_grpc(server, method, zeros, application, 2))
    fields = b"\x2a\x00" * 12_000_000
    if method in ("ModelInfer", "ModelStreamInfer"):
        held(server, f"{method} fields", 24_000, lambda: over_grpc(server, method, fields, (), 20))


def over_grpc(server: Server, method: str, data: bytes, metadata: Any, times: int) -> int:
    unlimited = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.grpc, options=unlimited) as channel:
        path = f"/inference.GRPCInferenceService/{method}"
        for _ in range(times):
            asked: dict[str, Any] = {"compression": grpc.Compression.Gzip, "timeout": 60}
            if metadata:
                asked["metadata"] = metadata
            if method == "ModelStreamInfer":
                answers: Iterator[bytes] = channel.stream_stream(path)(iter([data]), **asked)
                refused = refusal(lambda answers=answers: b"".join(answers))
            else:
                refused = refusal(lambda asked=asked: channel.unary_unary(path)(data, **asked))
            assert refused, method
    return times


def refusal(call: Callable[[], bytes]) -> str:
    """Why it was refused; '' when it wasn't."""
    try:
        answer = call()
    except grpc.RpcError as error:
        refused = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)
        return str(error.details()) if error.code() in refused else ""
    return "in the stream" if b"more than" in answer else ""


def test_tokens_of_a_text_that_is_far_too_long(server: Server) -> None:
    body, headers = packed(
        orjson.dumps(
            {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a b " * 250_000]}]}
        )
    )
    path = "/v2/models/sentences/infer"

    def ask() -> int:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            for _ in range(10):
                answer = http.post(path, content=body, headers=headers)
                assert answer.status_code == 200, answer.text[:300]
        return 10

    held(server, "long text", len(body), ask)


def held(server: Server, what: str, size: int, attack: Callable[[], int]) -> None:
    """Run it beside a client that must notice nothing but its time."""
    before, most, ended = memory(server), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.2):
            most = max(most, memory(server))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with Beside(server) as beside:
            sent = attack()
    finally:
        ended.set()
        watching.join()
    grew = max(0, most - before)
    print(
        f"\n{what}: {size} bytes, {sent} times; beside: {beside.served} answered, {beside.lost} lost, "
        f"longest {beside.longest:.2f} s; memory +{grew / 2**20:.0f} MiB"
    )
    assert beside.lost == 0
    assert beside.served
    assert grew < MOST_GREW
    typed = ModelInferRequest(model_name="identity")
    typed.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1)
    with grpc.insecure_channel(server.grpc) as channel:
        answer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
            typed.SerializeToString(), timeout=20
        )
    assert client.decode_grpc(answer).arrays["x"].tolist() == [1]
