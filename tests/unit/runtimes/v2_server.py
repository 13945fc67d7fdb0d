"""A V2 server of a test's own: what it is asked, and what it answers."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from aiohttp import web

from serve_app.protocol import grpc_codec, rest_codec
from serve_app.protocol.inference_pb2 import (
    ModelConfigResponse,
    ModelMetadataResponse,
    ModelReadyResponse,
    ModelStreamInferResponse,
)
from serve_app.protocol.tensors import InferResponse


class Peer:
    """Model `there`, version 3: `y` is ten times `x`. `fail` has what comes instead, one by one."""

    def __init__(self) -> None:
        self.ready = True
        self.nonsense = b""  # that comes instead of whether it is ready
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.left: list[float | None] = []
        self.fail: list[Any] = []
        self.extensions = ["binary_tensor_data"]
        self.release = threading.Event()
        self.release.set()
        self.cancelled = threading.Event()
        self.pieces: list[Any] | None = None  # that a request of its stream is answered by

    def answer(self, request: Any) -> InferResponse:
        arrays = {
            "y": request.inputs[0].data * 10
            if request.inputs[0].datatype != "BYTES"
            else request.inputs[0].data
        }
        return InferResponse("there", "3", request.id, rest_codec.tensors_from(arrays, list(arrays)))


class HttpPeerServer(Peer):
    """Over HTTP, on a thread of its own."""

    def __enter__(self) -> "HttpPeerServer":
        started = threading.Event()
        self.loop = asyncio.new_event_loop()

        async def start() -> None:
            app = web.Application(client_max_size=2**30)
            app.router.add_route("*", "/{path:.*}", self._handle)
            self.runner = web.AppRunner(app, handler_cancellation=True)
            await self.runner.setup()
            site = web.TCPSite(self.runner, "127.0.0.1", 0)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            self.loop.run_until_complete(start())
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert started.wait(10)
        self.address = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(10)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.02), self.loop).result(10)  # sockets close
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == "/v2":
            return web.json_response({"name": "x", "version": "1", "extensions": self.extensions})
        if path.endswith("/ready") and self.nonsense:
            assert request.transport is not None
            request.transport.write(self.nonsense)
            request.transport.close()
            return web.Response()
        if path.endswith("/ready"):
            return web.json_response({"ready": self.ready}, status=200 if self.ready else 503)
        if not path.endswith("/infer"):
            return web.json_response({
                "name": "there", "platform": "x",
                "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
                "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
            })  # fmt: skip
        body = await request.read()
        self.headers.append(dict(request.headers) | {"path": path})
        if self.fail:
            status, text, *more = self.fail.pop(0)
            if status == "close":
                request.transport.close()
                return web.Response()
            return web.Response(status=status, text=text, headers=dict(more))
        try:
            while not self.release.is_set():  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        length = request.headers.get("Inference-Header-Content-Length")
        asked = rest_codec.decode_request(body, int(length) if length else None, "there", "")
        self.requests.append(asked)
        parts, json_length = rest_codec.encode_response(self.answer(asked), asked)
        headers = {"Inference-Header-Content-Length": str(json_length)} if json_length else {}
        return web.Response(body=b"".join(map(bytes, parts)), headers=headers)


class GrpcPeerServer(Peer):
    """Over gRPC."""

    def __enter__(self) -> "GrpcPeerServer":
        def infer(data: bytes, context: grpc.ServicerContext) -> bytes:
            self.left.append(context.time_remaining())
            self.headers.append({key: str(value) for key, value in context.invocation_metadata()})
            if self.fail:
                context.abort(*self.fail.pop(0))
            request, typed = grpc_codec.decode_request(data)
            self.requests.append(request)
            return b"".join(map(bytes, grpc_codec.encode_response(self.answer(request), typed)))

        def metadata(data: bytes, context: grpc.ServicerContext) -> bytes:
            made = ModelMetadataResponse(name="there")
            made.inputs.add(name="x", datatype="FP32", shape=[-1, 2])
            made.outputs.add(name="y", datatype="FP32", shape=[-1, 2])
            return made.SerializeToString()

        def ready(data: bytes, context: grpc.ServicerContext) -> bytes:
            return ModelReadyResponse(ready=self.ready).SerializeToString()

        def config(data: bytes, context: grpc.ServicerContext) -> bytes:
            if self.pieces is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such method")
            made = ModelConfigResponse()
            made.config.model_transaction_policy.decoupled = True
            return made.SerializeToString()

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            context.add_callback(self.cancelled.set)
            for data in requests:
                request, typed = grpc_codec.decode_request(data)
                self.requests.append(request)
                yield from self._streamed(request, typed)

        methods = {
            "ModelInfer": infer, "ModelMetadata": metadata, "ModelReady": ready, "ModelConfig": config,
        }  # fmt: skip
        handlers = {name: grpc.unary_unary_rpc_method_handler(one) for name, one in methods.items()}
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(stream)
        self.server = grpc.server(ThreadPoolExecutor(4))
        handler = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)
        self.server.add_generic_rpc_handlers((handler,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.address = f"grpc://127.0.0.1:{self.port}"
        return self

    def _streamed(self, request: Any, typed: bool) -> Iterator[bytes]:
        """An answer for each factor in `pieces`, the last marked so; a text is an error."""
        for at, factor in enumerate(self.pieces or []):
            if at:
                self.release.wait(10)
            made = ModelStreamInferResponse()
            if isinstance(factor, str):
                made.error_message = factor
            else:
                array = request.inputs[0].data * factor
                answer = InferResponse(
                    "there", "3", request.id, rest_codec.tensors_from({"y": array}, ["y"])
                )
                data = b"".join(map(bytes, grpc_codec.encode_response(answer, typed)))
                made.infer_response.ParseFromString(data)
                final = at == len(self.pieces or []) - 1
                made.infer_response.parameters["triton_final_response"].bool_param = final
            yield made.SerializeToString()

    def __exit__(self, *_: object) -> None:
        self.server.stop(None).wait(10)
