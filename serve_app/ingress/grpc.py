"""V2 over gRPC. Requests arrive as bytes and are parsed here, so that a malformed message is the
client's INVALID_ARGUMENT and no generated class ever crosses actors."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from serve_app.config import Limits
from serve_app.core.call import Call, Headers, address_of
from serve_app.core.dataplane import DataPlane
from serve_app.core.paths import Paths
from serve_app.errors import NotFound, TandemError, Unavailable, Unsupported
from serve_app.ingress.admin import OFF, AdminApp
from serve_app.ingress.apart import LARGE, Apart
from serve_app.ingress.fast_path import HEALTH as OWN_HEALTH
from serve_app.ingress.fast_path import fast_servicer
from serve_app.ingress.grpc_answers import Raw, broken, failed, metadata_of, trail, within
from serve_app.ingress.grpc_health import HEALTH, Health
from serve_app.ingress.grpc_reflect import add_reflection
from serve_app.ingress.grpc_stream import StreamInfer
from serve_app.ingress.idle import IdleStreams
from serve_app.ingress.side_by_side import Counted, SideBySide
from serve_app.protocol import grpc_codec
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.tensors import InferRequest
from serve_app.protocol.wire import Buffer
from serve_app.releases.asked import Verb

SERVICE: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
POOL = pb.DESCRIPTOR.pool
_KINDS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
_SIDE_BY_SIDE = 256  # requests of one stream at once


def add_inference_service(servicer: Any, server: Any) -> None:
    """`grpc_servicer_functions` entry: every method takes and returns bytes.

    It brings gRPC's health and reflection. Configs therefore say `enable_reflection: false`.
    """
    fast = fast_servicer(server, SERVICE.full_name, HEALTH.full_name)
    for service in (SERVICE, HEALTH):
        handlers = {}
        for method in service.methods:
            if fast is None:
                answer = getattr(servicer, method.name)  # Serve puts its own in this place
            elif service is HEALTH or method.name in OWN_HEALTH:
                answer = fast.uncounted(method.name, method.server_streaming)
            else:
                answer = fast.handler(service.full_name, method.name, method.server_streaming)
            kind = _KINDS[method.client_streaming, method.server_streaming]
            handlers[method.name] = kind(answer, None, None)
        generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))
        server.add_registered_method_handlers(service.full_name, handlers)
    names = SERVICE.full_name, HEALTH.full_name
    add_reflection(server, names, (pb.DESCRIPTOR, HEALTH.file))


class Servicer(Health):
    """The RPCs: bytes in, bytes out, by whichever way they came."""

    def __init__(
        self, plane: DataPlane, limits: Callable[[], Limits], apart: Apart | None = None
    ) -> None:
        self.plane, self.limits = plane, limits
        self._apart = apart or Apart()
        self.admin: AdminApp | None = None  # load and unload, where they are configured
        self.idle = IdleStreams(seconds=lambda: self.limits().stream_timeout)

    async def ServerLive(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Always live: a dead process answers nothing."""
        return Raw(pb.ServerLiveResponse(live=True).SerializeToString())

    async def ServerReady(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Whether this Router takes requests."""
        return Raw(pb.ServerReadyResponse(ready=self.plane.ready).SerializeToString())

    async def ServerMetadata(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Name, version, extensions."""
        return Raw(pb.ServerMetadataResponse(**self.plane.server_metadata()).SerializeToString())

    async def ModelReady(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Whether a model, or a version of it, can answer. One that isn't there can't: clients poll."""

        def answer(message: Any) -> Message:
            try:
                ready = self.plane.model_ready(message.name, message.version)
            except NotFound:
                ready = False
            return pb.ModelReadyResponse(ready=ready)

        return await self._answer(pb.ModelReadyRequest(), request, grpc_context, answer)

    async def ModelMetadata(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802

        def answer(message: Any) -> Message:
            about = self.plane.model_metadata(message.name, message.version)
            # `properties` is HTTP's: peers have different things in its place here.
            about.pop("properties", None)
            return json_format.ParseDict(about, pb.ModelMetadataResponse(), descriptor_pool=POOL)

        return await self._answer(pb.ModelMetadataRequest(), request, grpc_context, answer, True)

    async def ModelConfig(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Triton's model configuration."""

        def answer(message: Any) -> Message:
            about = {"config": self.plane.model_config(message.name, message.version)}
            return json_format.ParseDict(about, pb.ModelConfigResponse(), descriptor_pool=POOL)

        return await self._answer(pb.ModelConfigRequest(), request, grpc_context, answer, True)

    async def ModelStatistics(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802

        def answer(message: Any) -> Message:
            about = {"model_stats": self.plane.statistics(message.name, message.version)}
            return json_format.ParseDict(about, pb.ModelStatisticsResponse(), descriptor_pool=POOL)

        return await self._answer(pb.ModelStatisticsRequest(), request, grpc_context, answer)

    async def RepositoryIndex(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Every model version and its state."""

        def answer(message: Any) -> Message:
            about = {"models": self.plane.repository_index(message.ready)}
            return json_format.ParseDict(about, pb.RepositoryIndexResponse(), descriptor_pool=POOL)

        return await self._answer(pb.RepositoryIndexRequest(), request, grpc_context, answer)

    async def RepositoryModelLoad(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Load a model, or load it anew, on every Router."""
        message = pb.RepositoryModelLoadRequest(), pb.RepositoryModelLoadResponse()
        return await self._change("load", *message, request, grpc_context)

    async def RepositoryModelUnload(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Unload a model on every Router."""
        message = pb.RepositoryModelUnloadRequest(), pb.RepositoryModelUnloadResponse()
        return await self._change("unload", *message, request, grpc_context)

    async def ModelInfer(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        try:
            return Raw(b"".join(await self.infer_parts(request, metadata_of(grpc_context))))
        except TandemError as error:
            return failed(error, grpc_context)
        except Exception as error:
            return broken(error, grpc_context)

    async def ModelStreamInfer(  # noqa: N802
        self, request: AsyncIterator[bytes], grpc_context: Any, counted: Counted = nullcontext
    ) -> AsyncIterator[Raw]:
        """Inference request by request, side by side; an error answers in its place in the stream.

        An LLM answers a request with several responses, unless its input `stream` is false, and
        those of several requests as they come. All others answer in the order of the requests.
        `counted` stands around each request.
        """
        limits, headers = self.limits(), metadata_of(grpc_context)
        stream = StreamInfer(self.plane, self._decoded, self._decoded_apart, headers)
        most, client = (
            min(_SIDE_BY_SIDE, limits.max_queued_requests or _SIDE_BY_SIDE),
            address_of(headers),
        )
        requests = SideBySide(stream.begin, most, limits.max_body_bytes, counted, self.idle, client)
        try:
            async with contextlib.aclosing(requests.answers(request)) as answers:
                async for answer in answers:
                    yield Raw(answer)
        except Unavailable as error:
            failed(error, grpc_context)

    def _decoded(self, data: Buffer, headers: Headers) -> tuple[Call, bool]:
        began = time.monotonic()
        try:
            within(data, self.limits().max_body_bytes)
            request, typed = grpc_codec.decode_request(data)
        except TandemError as error:
            self.plane.refused(_call(grpc_codec.addressed(data, error), headers), error)
            raise
        return _call(request, headers, time.monotonic() - began), typed

    async def _decoded_apart(self, data: Buffer, headers: Headers) -> tuple[Call, bool]:
        """The same for a large message: where its parts take time, elsewhere."""
        began = time.monotonic()
        limit = self.limits().max_body_bytes
        try:
            within(data, limit)
            if grpc_codec.dear(data) < LARGE:
                request, typed = grpc_codec.decode_request(data)
            else:
                if to := grpc_codec.addressee(data):
                    self.plane.check_room(_call(to, headers))
                request, typed = await self._apart.elsewhere("grpc", data, b"", limit, ())
        except TandemError as error:
            self.plane.refused(_call(grpc_codec.addressed(data, error), headers), error)
            raise
        return _call(request, headers, time.monotonic() - began), typed

    async def infer_parts(self, data: Buffer, headers: Headers) -> list[Buffer]:
        """ModelInferRequest to ModelInferResponse, both on the wire. Raises TandemError."""
        if len(data) < LARGE:
            call, typed = self._decoded(data, headers)
        else:
            call, typed = await self._decoded_apart(data, headers)
        response = await self.plane.infer(call)
        began = time.monotonic()
        parts = grpc_codec.encode_response(response, typed)
        self.plane.encoded(call, time.monotonic() - began)
        return parts

    async def _change(self, verb: Verb, empty: Any, answer: Message, data: bytes, context: Any) -> Raw:
        headers = metadata_of(context)
        try:
            within(data, self.admin.most if self.admin else self.limits().max_body_bytes)
            if self.admin is None:
                raise Unsupported(OFF)
            self.admin.admit(verb, "", headers)
            message = grpc_codec.parse(empty, data)
            await self.admin.grpc(verb, message.model_name, message.parameters, headers)
            return Raw(answer.SerializeToString())
        except TandemError as error:
            return failed(error, context)
        except Exception as error:
            return broken(error, context)

    async def _answer(
        self,
        empty: Message,
        data: bytes,
        context: Any,
        answer: Callable[[Any], Message],
        awake: bool = False,
    ) -> Raw:
        """`awake`: it is about a model's signature, for which the model may have to be loaded."""
        try:
            within(data, self.limits().max_body_bytes)
            asked: Any = grpc_codec.parse(empty, data)
            if awake:
                await self.plane.awake(asked.name, asked.version)
            return Raw(answer(asked).SerializeToString())
        except TandemError as error:
            return failed(error, context)
        except Exception as error:
            return broken(error, context)


def _call(request: InferRequest, headers: Headers, decoding: float = 0.0) -> Call:
    return Call(request, headers, "grpc", decoding=decoding, request_id=headers.request_id())


class GrpcIngress:
    """The RPCs as methods of the deployment, where Serve calls them. It provides `servicer`, `paths`."""

    servicer: Servicer
    paths: Paths


def _by_serve(name: str, streaming: bool) -> Callable[..., Any]:
    """A method that Serve finds by its name, and gives a context for the name of its parameter."""

    async def unary(self: GrpcIngress, request: bytes, grpc_context: Any) -> Raw:
        self.paths.serve("grpc")
        trail(grpc_context)
        answer: Raw = await getattr(self.servicer, name)(request, grpc_context)
        return answer

    async def stream(
        self: GrpcIngress, request: AsyncIterator[bytes], grpc_context: Any
    ) -> AsyncIterator[Raw]:
        self.paths.serve("grpc")
        trail(grpc_context)
        async with contextlib.aclosing(getattr(self.servicer, name)(request, grpc_context)) as answers:
            async for answer in answers:
                yield answer

    return stream if streaming else unary


for _method in (*SERVICE.methods, *HEALTH.methods):
    setattr(GrpcIngress, _method.name, _by_serve(_method.name, _method.server_streaming))
