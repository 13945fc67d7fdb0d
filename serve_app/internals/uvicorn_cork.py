"""An answer's head and body in one write, without joining its parts: fewer system calls and copies,
and one packet less to wake up for."""

from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serve_app.protocol.wire import Buffer


class Cork:
    """Stands in for the transport of one answer: keeps its head back until the body is there."""

    __slots__ = ("_cycle", "_finished", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle: Any = cycle
        self._transport: Any = cycle.transport
        self._head = b""
        self._finished = False

    def write(self, data: bytes) -> None:
        """uvicorn's own writes: first the head; what it has for an end is not needed any more."""
        if not self._finished:
            self._head += data

    def finish(self, body: Sequence[Buffer]) -> None:
        """Write the head and the whole body; uvicorn is to be told afterwards that it ends."""
        self._finished = True
        if not self._head or self._transport.is_closing():
            return  # the client has left
        if self._cycle.scope["method"] == "HEAD":
            body = ()
        self._cycle.expected_content_length = 0
        self._transport.writelines((self._head, *body))

    def remove(self) -> None:
        """The answer is over. Else the two would hold each other until the garbage collector comes."""
        self._cycle.transport = self._transport
        self._cycle = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def still_coming(receive: Any) -> bool:
    """Whether the body of the request that `receive` is for isn't whole yet; False where it isn't
    uvicorn's own."""
    cycle = getattr(receive, "__self__", None)
    return type(cycle) is RequestResponseCycle and cycle.more_body


def corked(send: Any) -> Cork | None:
    """Cork the answer that `send` is about to start; None where it isn't uvicorn's own `send`."""
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle:
        return None
    cork = Cork(cycle)
    cycle.transport = cork  # type: ignore[assignment]
    return cork
