"""What of a graph's work holds up no others, and how large it may be."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import Tensor

LARGE = 2**16  # bytes of tensors whose JSON takes about a millisecond
MOST = 8 * 2**20  # bytes that may become a JSON value in a Router: of a V1 body, or of tensors

T = TypeVar("T")


def size(tensors: Iterable[Tensor]) -> int:
    """Bytes, as far as they matter for that."""
    return sum(map(_size, (tensor.data for tensor in tensors)))


def _size(data: Any) -> int:
    if data.dtype != BYTES:
        return int(data.nbytes)
    return int(data.nbytes) + sum(map(len, data.flat))


async def aside(large: bool, function: Callable[..., T], *arguments: Any) -> T:
    """A function's answer, from a thread if that takes long."""
    if large:
        return await asyncio.to_thread(function, *arguments)
    return function(*arguments)
