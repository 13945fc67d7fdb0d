"""What is kept of a request and its answer until a shadow has answered it, too, and how much that takes.

A request may change after it was handed on: a model may write into the arrays that it is given. So what
may be written to is copied before; views of a request's own bytes can't be, and are kept as they are.
"""

import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serve_app.core.target import Relayed
from serve_app.core.version import Version
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import Arrays, InferRequest, Tensor

MOST_COPIED = 8 * 2**20  # bytes of a request: a copy of so much holds up the event loop for 2 ms
_COUNTED = 2000  # elements of BYTES whose lengths are looked at; the others are taken to be like them
_ELEMENT = 41  # bytes of an element besides its own: an object and a pointer to it


def size_of(array: np.ndarray) -> int:
    """Bytes that it holds, those around it included where it is a part of something larger."""
    if array.dtype == BYTES:
        flat = array.reshape(-1)[:_COUNTED]
        known = sum(map(len, flat)) + _ELEMENT * len(flat)
        return known * array.size // max(len(flat), 1)
    base = array.base
    return base.nbytes if isinstance(base, np.ndarray) else array.nbytes


def kept(tensors: Iterable[Tensor]) -> tuple[list[Tensor], int] | None:
    """Inputs as they are now, and their bytes; None where that would take too long."""
    found, total, copied = [], 0, 0
    for tensor in tensors:
        data = tensor.data
        if data.flags.writeable:
            size = data.size * 8 if data.dtype == BYTES else data.nbytes
            if (copied := copied + size) > MOST_COPIED:
                return None
            data = data.copy()
        total += size_of(data)
        found.append(Tensor(tensor.name, tensor.datatype, data))
    return found, total


def parts(tensors: Iterable[Tensor]) -> tuple[Arrays, int]:
    """Outputs by name, and their bytes: small rows out of a batch without the rest of it."""
    found, total = Arrays(), 0
    for tensor in tensors:
        data = tensor.data
        if size_of(data) > 2 * data.nbytes and data.nbytes <= MOST_COPIED // 8:
            data = data.copy()
        total += size_of(data)
        found[tensor.name] = data
    return found, total


@dataclass(slots=True)
class Job:
    """A request to be copied. `answer`, `pieces` or `body` is what its client got, or `error`, the kind
    of an error, instead; `size`, the memory of all of it; `seconds`, how long the answer took.
    """

    request: InferRequest
    verb: str
    size: int = 0
    primary: str = ""
    version: "weakref.ref[Version] | None" = None
    answer: Arrays = field(default_factory=dict)
    pieces: list[Arrays] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0
    path: str = ""
    sent: bytes = b""
    asked: dict[str, Any] = field(default_factory=dict)
    kind: bytes = b""
    body: list[bytes] = field(default_factory=list)


class Listened:
    """A Relayed's rest, told piece by piece."""

    def __init__(self, rest: AsyncIterator[bytes], tell: Callable[[bytes], None]) -> None:
        self._rest, self._tell = rest, tell

    def __aiter__(self) -> "Listened":
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._rest)
        self._tell(piece)
        return piece


def listened(answer: Relayed, tell: Callable[[bytes], None]) -> Relayed:
    """The same answer; `tell` hears its pieces."""
    tell(answer.first)
    return Relayed(answer.status, answer.kind, answer.first, Listened(answer.rest, tell))
