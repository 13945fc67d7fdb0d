"""Bodies to requests, by name: here where they are small, in a process apart where they aren't.

`main` is such a process. It reads jobs from its standard input until that ends, which it does when the
Router is gone, and writes what it found: a head in JSON and the tensors' bytes, nothing that comes to
life.
"""

import gc
import pickle
import resource
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from serve_app.errors import TandemError, TooLarge
from serve_app.hop import frames
from serve_app.protocol import (
    cloudevents,
    codings,
    elements,
    generate_codec,
    grpc_codec,
    rest_codec,
    v1_codec,
)
from serve_app.protocol.tensors import InferRequest, RequestedOutput, Tensor
from serve_app.protocol.wire import Buffer

JOB, FOUND = struct.Struct("<QQ"), struct.Struct("<BQ")
DONE, REFUSED = 0, 1
_MEMORY = 4 * 2**30  # of addresses; a body that takes more is refused


def _v1(body: Buffer, headers: Any, name: str, signature: Any) -> tuple[InferRequest, Any]:
    event, message = cloudevents.received(headers, elements.load_json(body))
    request, by_row = v1_codec.decode_request(message, name, signature)
    return request, [event.structured if event else None, by_row]


# The request, and what else its edge needs, as JSON has it.
DECODERS: dict[str, Callable[..., tuple[InferRequest, Any]]] = {
    "rest": lambda body, *args: (rest_codec.decode_request(body, *args), None),
    "grpc": grpc_codec.decode_request,
    "generate": lambda body, *args: (generate_codec.decode_request(body, *args), None),
    "v1": _v1,
}


def decoded(name: str, body: Buffer, args: Sequence[Any]) -> tuple[InferRequest, Any]:
    """What the decoder `name` makes of a body. Raises TandemError."""
    return DECODERS[name](body, *args)


def packed(request: InferRequest, more: Any) -> list[Buffer]:
    """A request in parts; names may come twice, which is for others to refuse."""
    about = {
        "more": more,
        "request": {
            name: getattr(request, name)
            for name in ("model", "version", "id", "parameters", "binary_output")
        },
        "tensors": [(tensor.name, tensor.datatype) for tensor in request.inputs],
        "outputs": None if request.outputs is None else [asdict(one) for one in request.outputs],
    }
    return frames.pack(about, {str(at): tensor.data for at, tensor in enumerate(request.inputs)})


def unpacked(data: bytes) -> tuple[InferRequest, Any]:
    """What `packed` was given, the arrays as read-only views."""
    about, arrays = frames.unpack(data)
    tensors = [
        Tensor(name, datatype, arrays[str(at)]) for at, (name, datatype) in enumerate(about["tensors"])
    ]
    outputs = about["outputs"]
    wanted = None if outputs is None else [RequestedOutput(**one) for one in outputs]
    return InferRequest(**about["request"], inputs=tensors, outputs=wanted), about["more"]


def _answer(job: bytes, body: bytes) -> tuple[int, list[Buffer]]:
    name, coding, limit, args = pickle.loads(job)  # noqa: S301 - our own Router's
    try:
        try:
            if coding:
                body = codings.inflate_now(body, coding, limit)
            return DONE, packed(*decoded(name, body, args))
        except MemoryError:
            raise TooLarge("the body takes more memory to decode than one may have") from None
    except TandemError as error:
        return REFUSED, frames.pack_error(error)


def main() -> None:
    """Jobs from standard input to standard output, one after the other."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    gc.disable()  # what a body becomes holds nothing in circles, and is millions of objects
    jobs, found = sys.stdin.buffer, sys.stdout.buffer
    while head := jobs.read(JOB.size):
        sizes = JOB.unpack(head)
        status, parts = _answer(*(jobs.read(size) for size in sizes))
        found.write(FOUND.pack(status, sum(map(len, parts))))
        for part in parts:
            found.write(part)
        found.flush()
