"""Another V2 server over gRPC: one channel, kept; deadlines go along."""

import asyncio
from typing import Any

import grpc

from serve_app.config import V2Options
from serve_app.errors import TandemError
from serve_app.protocol import client
from serve_app.protocol.inference_pb2 import (
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
)
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferRequest, InferResponse
from serve_app.runtimes.v2_peer import LOOK_S, Asked, Lost, no_v2, refusal, spec, token

_SERVICE = "/inference.GRPCInferenceService/"
_KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: "client",
    grpc.StatusCode.OUT_OF_RANGE: "client",
    grpc.StatusCode.DEADLINE_EXCEEDED: "late",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "busy",
}
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 30_000),
]


class GrpcPeer:
    """One model of it."""

    def __init__(self, options: V2Options, asked: Asked) -> None:
        self._asked = asked
        scheme, _, self._target = options.address.rstrip("/").partition("://")
        self._secure = scheme == "grpcs"
        self._metadata = [("authorization", f"Bearer {token(options)}")] if token(options) else []
        self._channel: grpc.aio.Channel | None = None
        self._infer: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def _look(self, method: str, request: Any, kind: Any) -> Any:
        made = (
            grpc.secure_channel(self._target, grpc.ssl_channel_credentials(), _OPTIONS)
            if self._secure
            else grpc.insecure_channel(self._target, _OPTIONS)
        )
        with made as channel:
            ask = channel.unary_unary(
                _SERVICE + method, type(request).SerializeToString, kind.FromString
            )
            return ask(request, timeout=LOOK_S, metadata=self._metadata)

    def why_not(self) -> str:
        """By ModelReady."""
        request = ModelReadyRequest(name=self._asked.model, version=self._asked.version)
        try:
            ready = self._look("ModelReady", request, ModelReadyResponse).ready
        except grpc.RpcError as error:
            return f"it can't be asked: {error.code().name} {error.details()}"
        return "" if ready else f"its model '{self._asked.model}' is not ready"

    def about(self) -> VersionDescription:
        """By ModelMetadata; servers that keep none are asked without."""
        request = ModelMetadataRequest(name=self._asked.model, version=self._asked.version)
        try:
            said = self._look("ModelMetadata", request, ModelMetadataResponse)
        except grpc.RpcError:
            return VersionDescription([], [])
        sides = [
            [spec({"name": one.name, "datatype": one.datatype, "shape": one.shape}) for one in side]
            for side in (said.inputs, said.outputs)
        ]
        return VersionDescription(sides[0], sides[1])

    async def infer(self, request: InferRequest, seconds: float | None) -> InferResponse:
        """One ModelInfer, cancelled there when nobody waits for the answer any more."""
        if self._infer is None:
            self._connect()
        try:
            answer = await self._infer(
                client.encode_grpc(request), timeout=seconds, metadata=self._metadata
            )
        except grpc.aio.AioRpcError as error:
            code, said = error.code(), error.details() or ""
            if code is grpc.StatusCode.UNAVAILABLE:
                raise Lost(f"is unavailable: {said[:200]}") from None
            raise refusal(_KINDS.get(code, f"gRPC {code.name}"), said, self._asked.model) from None
        try:
            return client.decode_grpc(answer)
        except TandemError as error:
            raise no_v2(self._asked.model, error) from None

    def _connect(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = (
            grpc.aio.secure_channel(self._target, grpc.ssl_channel_credentials(), _OPTIONS)
            if self._secure
            else grpc.aio.insecure_channel(self._target, _OPTIONS)
        )
        self._infer = self._channel.unary_unary(client.GRPC_PATH)

    def close(self) -> None:
        channel, self._channel, self._infer = self._channel, None, None
        if channel is None or self._loop is None or self._loop.is_closed():
            return
        loop = self._loop
        loop.call_soon_threadsafe(lambda: loop.create_task(channel.close()))
