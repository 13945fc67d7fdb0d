"""What an RPC answers: bytes, or a status and why."""

import logging
from collections.abc import Sequence
from typing import Any

import grpc

from serve_app.core.call import REQUEST_ID, Headers
from serve_app.errors import TandemError, TooLarge
from serve_app.ingress.status import grpc_code, retry_metadata, trailer_text
from serve_app.protocol.wire import Buffer

log = logging.getLogger("tandem")

INTERNAL = "internal error; the server log has it"


class Raw:
    """An encoded answer in the one shape that Serve asks of it."""

    __slots__ = ("data", "status")

    def __init__(self, data: bytes, status: str = "OK") -> None:
        self.data, self.status = data, status

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        return self.data


def metadata_of(context: Any) -> Headers:
    """What the caller sent beside the message."""
    remaining = getattr(context, "time_remaining", None)  # Serve's own context has none
    return Headers(context.invocation_metadata() or (), remaining)


def trail(context: Any, more: Sequence[tuple[str, str]] = ()) -> None:
    """Send behind the answer what the caller calls its request, and `more`."""
    name = Headers(context.invocation_metadata() or ()).request_id()
    if name or more:  # Serve's own context takes a list alone
        context.set_trailing_metadata([*more, *([(REQUEST_ID, name)] if name else ())])


def within(data: Buffer, limit: int) -> None:
    """TooLarge for a message of more than `limit` bytes."""
    if len(data) > limit:
        raise TooLarge(f"the message has {len(data)} bytes, the limit (maxBodyBytes) is {limit}")


def failed(error: TandemError, context: Any) -> Raw:
    # Set, not raised: Serve logs every raised error with a traceback, a client's fault included.
    context.set_code(grpc_code(error))
    context.set_details(trailer_text(error.message))
    if hints := retry_metadata(error):
        trail(context, hints)
    return Raw(b"", grpc_code(error).name)


def broken(error: Exception, context: Any) -> Raw:
    log.error("the ingress itself failed", exc_info=error)
    context.set_code(grpc.StatusCode.INTERNAL)
    context.set_details(INTERNAL)
    return Raw(b"", "INTERNAL")
