"""An answer's head and body in one write: one system call less, and one packet less to wake up for."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Cork:
    """Stands in for a transport: keeps the first write back until the second."""

    __slots__ = ("_finished", "_head", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self._finished = False

    def write(self, data: bytes) -> None:
        """The head waits for the body; what follows goes straight out."""
        if self._finished:
            return
        if self._head is None:
            self._head = data
            return
        head, self._head = self._head, b""
        self._transport.writelines((head, data) if head else (data,))

    def finish(self, *parts: bytes) -> None:
        """Write the head and the whole rest, and drop what uvicorn would end it with."""
        head, self._head = self._head or b"", b""
        self._transport.writelines((head, *parts))
        self._finished = True

    def flush(self) -> None:
        """Write a head that no body followed."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """After whatever waits."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def corked(send: Any) -> Cork | None:
    """Cork the answer that `send` is about to start; None where it isn't uvicorn's own `send`."""
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle:
        return None
    cork = cycle.transport = Cork(cycle.transport)  # type: ignore[assignment]
    return cork
