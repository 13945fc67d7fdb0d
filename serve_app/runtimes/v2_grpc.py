"""Another V2 server over gRPC: one channel, kept; deadlines go along."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serve_app.config import V2Options
from serve_app.errors import ModelFailed, TandemError
from serve_app.protocol import client
from serve_app.protocol.inference_pb2 import (
    ModelConfigRequest,
    ModelConfigResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ModelStreamInferResponse,
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
_FINAL = "triton_final_response"
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
        self._stream: Any = None
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
            raise self._failed(error) from None
        try:
            return client.decode_grpc(answer)
        except TandemError as error:
            raise no_v2(self._asked.model, error) from None

    def in_pieces(self) -> bool:
        """By ModelConfig, which Triton and Tandem have, and KServe and MLServer haven't."""
        request = ModelConfigRequest(name=self._asked.model, version=self._asked.version)
        try:
            found = self._look("ModelConfig", request, ModelConfigResponse)
        except grpc.RpcError:
            return False
        return bool(found.config.model_transaction_policy.decoupled)

    async def stream(self, request: InferRequest) -> AsyncGenerator[tuple[InferResponse, bool], None]:
        """One ModelStreamInfer, cancelled there when its reader goes away. It ends with the request, of
        which a model needn't say which answer is the last."""
        if self._infer is None:
            self._connect()
        call = self._stream(metadata=self._metadata)
        try:
            await call.write(client.encode_grpc(request))
            await call.done_writing()
            async for data in call:
                yield self._piece(data)
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None
        finally:
            call.cancel()

    def _piece(self, data: bytes) -> tuple[InferResponse, bool]:
        try:
            message = ModelStreamInferResponse.FromString(data)
        except DecodeError as error:
            raise no_v2(self._asked.model, ModelFailed(str(error))) from None
        if message.error_message:
            raise refusal("client", message.error_message, self._asked.model)
        try:
            answer = client.decode_grpc(message.infer_response.SerializeToString())
        except TandemError as error:
            raise no_v2(self._asked.model, error) from None
        return answer, message.infer_response.parameters[_FINAL].bool_param

    def _connect(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = (
            grpc.aio.secure_channel(self._target, grpc.ssl_channel_credentials(), _OPTIONS)
            if self._secure
            else grpc.aio.insecure_channel(self._target, _OPTIONS)
        )
        self._infer = self._channel.unary_unary(client.GRPC_PATH)
        self._stream = self._channel.stream_stream(_SERVICE + "ModelStreamInfer")

    def _failed(self, error: grpc.aio.AioRpcError) -> Exception:
        code, said = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE:
            return Lost(f"is unavailable: {said[:200]}")
        return refusal(_KINDS.get(code, f"gRPC {code.name}"), said, self._asked.model)

    def close(self) -> None:
        channel, self._channel, self._infer = self._channel, None, None
        if channel is None or self._loop is None or self._loop.is_closed():
            return
        loop = self._loop
        loop.call_soon_threadsafe(lambda: loop.create_task(channel.close()))
