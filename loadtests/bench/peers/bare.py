"""The limits of the transports: the identity model behind a server that does nothing else.

Same codec, same event loop and parsers as Tandem's replicas, no routing, limits, metrics or Ray.
"""

import argparse
import asyncio
from typing import Any

import grpc
import uvicorn

from serve_app.protocol import grpc_codec, rest_codec
from serve_app.protocol.tensors import InferRequest, InferResponse

_SERVICE = "inference.GRPCInferenceService"
_MAX_MESSAGE = 2**31 - 1


def _identity(request: InferRequest) -> InferResponse:
    return InferResponse(request.model, "1", request.id, request.inputs)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """POST anything: decode, give back, encode. GET anything: 200."""
    parts = []
    more = scope["method"] == "POST"
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message["more_body"]
    body = b"".join(parts)
    kind = b"application/json"
    extra: list[tuple[bytes, bytes]] = []
    if parts:
        length = dict(scope["headers"]).get(b"inference-header-content-length")
        request = rest_codec.decode_request(body, int(length) if length else None, "identity", "")
        buffers, json_length = rest_codec.encode_response(_identity(request), request)
        body = b"".join(buffers)
        if json_length is not None:
            kind = b"application/octet-stream"
            extra = [(b"inference-header-content-length", b"%d" % json_length)]
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _infer(data: bytes, context: Any) -> bytes:
    request, typed = grpc_codec.decode_request(data)
    return b"".join(grpc_codec.encode_response(_identity(request), typed))


async def _serve(http_port: int, grpc_port: int) -> None:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.max_send_message_length", _MAX_MESSAGE),
        ]
    )
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(_infer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    server.add_registered_method_handlers(_SERVICE, handlers)
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=http_port, access_log=False, log_level="warning", lifespan="off"
    )
    await uvicorn.Server(config).serve()
    await server.stop(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    given, _ = parser.parse_known_args()
    import uvloop

    uvloop.install()
    asyncio.run(_serve(given.http_port, given.grpc_port))
