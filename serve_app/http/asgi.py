"""Reading a request body within limits and writing an answer, over plain ASGI."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeVar

from serve_app.config import Limits
from serve_app.core.call import Call
from serve_app.core.call import Headers as CallHeaders
from serve_app.core.deadlines import Departures
from serve_app.errors import TooLarge
from serve_app.internals.uvicorn_cork import corked
from serve_app.protocol.codings import chosen, packed, unpacked
from serve_app.protocol.tensors import InferRequest
from serve_app.protocol.wire import Buffer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]
T = TypeVar("T")
R = TypeVar("R")

JSON = (b"content-type", b"application/json")
OCTETS = (b"content-type", b"application/octet-stream")


def call_of(scope: Scope, request: InferRequest) -> Call:
    """A request that came over HTTP, with its headers."""
    id = scope.get("request_id", "")
    return Call(request, CallHeaders(scope["headers"]), "http", request_id=id)


class Disconnected(Exception):
    """The client went away before it had sent its whole request."""


async def read_body(receive: Receive, headers: Headers, limits: Limits) -> bytes:
    """The whole body, decompressed. TooLarge before more than the limit is held in memory."""
    body, coding = await read_packed(receive, headers, limits)
    return await unpacked(body, coding, limits.max_body_bytes) if coding else body


async def read_packed(receive: Receive, headers: Headers, limits: Limits) -> tuple[bytes, bytes]:
    """The whole body as it was sent, and its Content-Encoding, b"" for none."""
    limit = limits.max_body_bytes
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise TooLarge(f"the body has {int(length)} bytes, the limit (maxBodyBytes) is {limit}")
    body = await collect(receive, limit)
    return body, headers.get(b"content-encoding", b"")


async def collect(receive: Receive, limit: int, framing: int = 0) -> bytes:
    """A body as it was sent, of at most `limit` bytes and `framing` more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit + framing:
                raise TooLarge(f"the body is longer than the limit (maxBodyBytes) of {limit} bytes")
        body = b"".join(parts)
    if len(body) > limit + framing:
        raise TooLarge(f"the body has {len(body)} bytes, the limit (maxBodyBytes) is {limit}")
    return body


def watched(
    call: Callable[[T], Awaitable[R]], departures: Departures
) -> Callable[[T, Receive], Awaitable[R]]:
    """`call`, cancelled when the client leaves; its body must have been read. Raises Disconnected."""

    async def run(request: T, receive: Receive) -> R:
        async def departure() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        task = departures.watch(departure)
        try:
            result = await call(request)
        except BaseException:
            if departures.forget(task):
                raise Disconnected from None
            raise
        departures.forget(task)
        return result

    return run


class Outgoing:
    """The `send` of one request: adds `headers` to the answer, and no body when it is `bodiless`."""

    __slots__ = ("bodiless", "headers", "inner")

    def __init__(self, inner: Send, bodiless: bool) -> None:
        self.inner, self.bodiless = inner, bodiless
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *self.headers]}
        elif self.bodiless:
            message = {**message, "body": b""}
        await self.inner(message)


async def respond(
    send: Send, status: int, body: Sequence[Buffer], headers: list[tuple[bytes, bytes]]
) -> None:
    """One whole answer, the length stated."""
    headers.append((b"content-length", b"%d" % sum(map(len, body))))
    if type(send) is Outgoing:  # done here, what it does costs nothing
        headers += send.headers
        if send.bodiless:
            body = ()
        send = send.inner
    cork = corked(send)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if cork is not None:
        cork.finish(body)
        await send({"type": "http.response.body"})
        cork.remove()
    else:
        await send({"type": "http.response.body", "body": b"".join(body)})


async def respond_packed(
    send: Send,
    body: Sequence[Buffer],
    headers: list[tuple[bytes, bytes]],
    accept: bytes | None,
    least: int,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """A 200 answer, compressed when the client asked for it and it is large enough to pay. `more`: the
    headers of a user's code, without those that are set here already.
    """
    coding = chosen(accept) if accept and sum(map(len, body)) >= least else None
    if coding:
        body = [await packed(b"".join(body), coding)]
        headers += [(b"content-encoding", coding), (b"vary", b"accept-encoding")]
    if more:
        ours = {name for name, _ in (*headers, *getattr(send, "headers", ()))} - {b"vary"}
        headers += [one for one in more if one[0] not in ours]
    await respond(send, 200, body, headers)
