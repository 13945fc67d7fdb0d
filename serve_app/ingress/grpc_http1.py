"""ModelInfer calls that arrive over HTTP/1.1, from HAProxy.

A gRPC call is a POST whose body is a five-byte prefix and a message, and whose answer ends with a
trailer. HAProxy speaks HTTP/2 to the client and can speak HTTP/1.1 to the replica, trailers
included, and there uvicorn with httptools does in a third of the time what grpc.aio does. The
HAProxy wrapper (`serve_app.internals.haproxy`) sends ModelInfer this way; all other methods, and every
client that connects to the replica itself, get grpc.aio.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from grpc import StatusCode

from serve_app.core.call import REQUEST_ID, name_in
from serve_app.core.call import Headers as CallHeaders
from serve_app.errors import InvalidArgument, Overloaded, TandemError, Unsupported
from serve_app.http.asgi import Disconnected, Headers, Receive, Scope, Send, collect
from serve_app.ingress.status import grpc_code, retry_metadata, trailer_text
from serve_app.internals.uvicorn_cork import corked
from serve_app.protocol.codings import CODINGS, unpacked
from serve_app.protocol.wire import Buffer

log = logging.getLogger("tandem")

PATH = "/inference.GRPCInferenceService/ModelInfer"
_PREFIX = 5  # compressed or not (1), length (4, big-endian)
_HEADERS = [
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", b"identity,deflate,gzip"),
]

LATER = retry_metadata(Overloaded())  # beside a refusal that says nothing of when

_REQUEST_ID = REQUEST_ID.encode()
Infer = Callable[[tuple[Buffer, CallHeaders], Receive], Awaitable[Sequence[Buffer]]]


async def answer(scope: Scope, receive: Receive, send: Send, infer: Infer, limit: int) -> str:
    """Answer one call with what `infer` makes of its message; the name of its status."""
    headers: Headers = dict(scope["headers"])
    name = name_in(scope["headers"]) if _REQUEST_ID in headers else ""
    about = CallHeaders(scope["headers"], name=name)
    try:
        message = await _message(receive, headers, limit)
        data = await infer((message, about), receive)
    except TandemError as error:
        code = grpc_code(error)
        await refuse(send, code, error.message, (*retry_metadata(error), *named(about)))
        return str(code.name)
    except Disconnected:
        return "CANCELLED"
    except Exception:
        log.exception("the ingress itself failed on %s", PATH)
        await refuse(send, StatusCode.INTERNAL, "internal error; the server log has it", named(about))
        return "INTERNAL"
    cork = corked(send)
    if cork is None:
        await refuse(send, StatusCode.UNAVAILABLE, "no answer to gRPC this way; try again")
        return "UNAVAILABLE"
    start = [*_HEADERS, (b"transfer-encoding", b"chunked"), (b"trailer", b"grpc-status")]
    await send({"type": "http.response.start", "status": 200, "headers": start})
    # By hand, because uvicorn knows no trailers, and to spare it a copy of the message.
    size = sum(map(len, data))
    frame = b"%x\r\n\0%b" % (size + _PREFIX, size.to_bytes(4, "big"))
    cork.finish((frame, *data, _end(name) if name else b"\r\n0\r\ngrpc-status: 0\r\n\r\n"))
    await send({"type": "http.response.body"})
    cork.remove()
    return "OK"


def named(headers: CallHeaders) -> Sequence[tuple[str, str]]:
    """What the caller calls its request, for the answer's trailers."""
    name = headers.request_id()
    return [(REQUEST_ID, name)] if name else ()


def _end(name: str) -> bytes:
    return f"\r\n0\r\ngrpc-status: 0\r\n{REQUEST_ID}: {name}\r\n\r\n".encode()


async def refuse(
    send: Send, code: StatusCode, message: str, more: Sequence[tuple[str, str]] = ()
) -> None:
    """An error: headers alone, as gRPC has it when there is no message; `more` of them."""
    text = quote(trailer_text(message), safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~\"")
    headers = [
        *_HEADERS,
        (b"grpc-status", b"%d" % code.value[0]),
        (b"grpc-message", text.encode()),
        (b"content-length", b"0"),
        *((name.encode(), value.encode()) for name, value in more),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body"})


async def _message(receive: Receive, headers: Headers, limit: int) -> Buffer:
    """The one message of a unary call, decompressed."""
    body = await collect(receive, limit, framing=_PREFIX)
    if len(body) < _PREFIX or len(body) != _PREFIX + int.from_bytes(body[1:_PREFIX], "big"):
        raise InvalidArgument(f"the call's {len(body)} bytes are not one gRPC message")
    if not body[0]:
        return memoryview(body)[_PREFIX:]
    coding = headers.get(b"grpc-encoding", b"identity")
    if coding not in CODINGS:
        raise Unsupported(f"grpc-encoding must be gzip or deflate, got '{coding.decode('latin-1')}'")
    return await unpacked(body[_PREFIX:], coding, limit)
