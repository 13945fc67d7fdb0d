"""Where a version runs, by what can be asked of it there.

In this process, in replicas behind a Serve handle, in an engine: a version doesn't know. What it is
given is a `Target`, and what a target can't do is None there.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from serve_app.protocol.tensors import Arrays, Parameters


class Predicts(Protocol):
    """Arrays in, arrays out."""

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch. Raises TandemError only."""
        ...


class Streams(Protocol):
    """Answers one request piece by piece."""

    def stream(
        self, inputs: Arrays, parameters: Parameters
    ) -> AsyncGenerator[tuple[Arrays, bool], None]:
        """The pieces as they come, and whether each is the last. Raises TandemError only."""
        ...


@dataclass(slots=True)
class Relayed:
    """Another server's answer: status, content type, the body's first piece, and what is to come."""

    status: int
    kind: bytes
    first: bytes
    rest: AsyncIterator[bytes]

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        yield self.first
        async for piece in self.rest:
            yield piece

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.pieces()])


class Relays(Protocol):
    """Passes requests of another protocol on, byte for byte."""

    def relay(
        self, path: str, body: bytes, asked: dict[str, Any], seconds: float | None
    ) -> AbstractAsyncContextManager[Relayed]:
        """POST `body` (`asked`, as bytes) to `path`. Leaving the context early stops the work.

        Raises TandemError when nobody can answer, or nothing comes for `seconds`; reading the body
        does when whoever answers dies meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What can be asked of a version.

    `uncancellable`: a prediction may go on although it was cancelled, as a user's coroutine may.
    `abandon`: nobody may ever answer what waits there; it raises Gone from now on.
    """

    predicts: Predicts
    streams: Streams | None = None
    relays: Relays | None = None
    uncancellable: bool = False
    abandon: Callable[[], None] | None = None
