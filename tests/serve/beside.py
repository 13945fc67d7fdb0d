"""Clients that ask on and on while something happens to the service, and check every answer."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import numpy as np

from serve_app.protocol import client, health_pb2
from serve_app.protocol import inference_pb2 as pb
from tests.server import Server

INFER = "/v2/models/identity/infer"
SERVICE = "/inference.GRPCInferenceService"


class Beside:
    """Some of them, each in a thread, and what became of their requests by the name of their kind.

    `served` and `lost` are of all, `longest` is how long one of them waited for an answer, `gap` how
    long nobody had one, `errors` what was lost and why.
    """

    def __init__(self, server: Server, *kinds: str, pause: float = 0.0) -> None:
        self.errors: list[str] = []
        self.served = self.lost = 0
        self.longest = self.gap = 0.0
        self._last = time.monotonic()
        self._server, self._pause, self._ended = server, pause, threading.Event()
        asks: dict[str, Callable[[Server], Any]] = {
            "http": _http, "grpc": _grpc, "health": _health, "stream": _stream,
        }  # fmt: skip
        self._threads = [
            threading.Thread(target=self._run, args=(kind, asks[kind])) for kind in kinds or ("http",)
        ]

    def __enter__(self) -> "Beside":
        self._last = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kind: str, made: Callable[[Server], Any]) -> None:
        number = 0
        with made(self._server) as ask:
            while not self._ended.is_set():
                number += 1
                began = time.monotonic()
                try:
                    why = "" if ask(number) else "a wrong answer"
                except Exception as error:
                    why = _said(error)
                now = time.monotonic()
                self.longest = max(self.longest, now - began)
                if why:
                    self.lost += 1
                    self.errors.append(f"{kind}: {why}")
                    time.sleep(0.01)
                else:
                    self.served += 1
                    self.gap, self._last = max(self.gap, now - self._last), now
                if self._pause:
                    time.sleep(self._pause)

    def said(self) -> str:
        """What the tables have."""
        kinds = {error: self.errors.count(error) for error in self.errors}
        return (
            f"{self.served} answered, {self.lost} lost, longest {self.longest:.2f} s, "
            f"nobody answered for {self.gap:.2f} s {kinds or ''}"
        )


def _said(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name} {error.details()}"[:150]
    return f"{type(error).__name__} {error}"[:150]


def _values(number: int) -> np.ndarray:
    return np.full((1, 4), number, np.float32)


@contextlib.contextmanager
def _http(server: Server) -> Any:
    with server.http() as http:

        def ask(number: int) -> bool:
            body, _ = client.encode_http(client.request("identity", {"x": _values(number)}))
            answer = http.post(INFER, content=body)
            if answer.status_code != 200:
                raise ValueError(f"{answer.status_code} {answer.text}")
            found = client.decode_http(answer.content, None).arrays["x"]
            return bool((found == _values(number)).all())

        yield ask


def _message(number: int) -> bytes:
    message = pb.ModelInferRequest(model_name="identity")
    message.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    message.raw_input_contents.append(_values(number).tobytes())
    return message.SerializeToString()


def _right(answer: bytes, number: int) -> bool:
    return bool((client.decode_grpc(answer).arrays["x"] == _values(number)).all())


@contextlib.contextmanager
def _grpc(server: Server) -> Any:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
    with grpc.insecure_channel(server.grpc, options) as channel:
        infer = channel.unary_unary(f"{SERVICE}/ModelInfer")
        yield lambda number: _right(infer(_message(number), timeout=60), number)


@contextlib.contextmanager
def _stream(server: Server) -> Any:
    """A stream for each request."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
    with grpc.insecure_channel(server.grpc, options) as channel:
        infer = channel.stream_stream(f"{SERVICE}/ModelStreamInfer")

        def ask(number: int) -> bool:
            (answer,) = infer(iter([_message(number)]), timeout=60)
            found = pb.ModelStreamInferResponse.FromString(answer)
            return _right(found.infer_response.SerializeToString(), number)

        yield ask


@contextlib.contextmanager
def _health(server: Server) -> Any:
    """Of both protocols, on new connections, as a probe asks, which gives up after some seconds."""

    def ask(number: int) -> bool:
        with httpx.Client(base_url=server.url, timeout=5, trust_env=False) as http:
            found = [http.get(f"/v2/health/{one}").status_code for one in ("live", "ready")]
        with grpc.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            for method, empty in {
                f"{SERVICE}/ServerLive": b"",
                f"{SERVICE}/ServerReady": b"",
                "/grpc.health.v1.Health/Check": health_pb2.HealthCheckRequest().SerializeToString(),
            }.items():
                found.append(channel.unary_unary(method)(empty, timeout=5)[1])
        if found[:2] != [200, 200]:
            raise ValueError(f"health over HTTP: {found[:2]}")
        return found == [200, 200, 1, 1, 1]

    yield ask
