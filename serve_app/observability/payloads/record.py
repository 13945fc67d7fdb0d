"""A body on its way to a logger, as it was, with what is said of it."""

import json
from dataclasses import dataclass, field
from typing import Any

import orjson

from serve_app.protocol import client, rest_codec
from serve_app.protocol.codings import inflate_now
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor
from serve_app.protocol.wire import Buffer

JSON = "application/json"
_LENGTH = 4  # bytes before each element of BYTES
Pairs = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Bytes:
    """A body over HTTP. `parts` is None where it has more bytes than anybody wants."""

    headers: dict[bytes, bytes]
    parts: list[Buffer] | None
    size: int

    @property
    def kind(self) -> str:
        """Its media type; clients of V2 often say none."""
        return self.headers.get(b"content-type", b"").decode("latin-1") or JSON

    @property
    def json_length(self) -> int | None:
        """Of a V2 body with binary tensors behind its JSON."""
        said = self.headers.get(b"inference-header-content-length", b"")
        return int(said) if said.isdigit() and len(said) < 19 else None

    def whole(self, most: int) -> bytes:
        """What it says, unpacked as the request itself is. TandemError where it can't be: TooLarge where
        that is more than `most`.
        """
        data = b"".join(self.parts or ())
        coding = self.headers.get(b"content-encoding", b"")
        return inflate_now(data, coding, most) if coding else data


@dataclass(slots=True)
class Tensors:
    """A request or an answer that came over gRPC, or inside of a graph: logged as V2's JSON."""

    of: InferRequest | InferResponse
    size: int = field(init=False)  # of its tensors, as gRPC carries them

    kind = JSON
    json_length = None

    def __post_init__(self) -> None:
        of = self.of
        self.size = sum(map(_size, of.inputs if isinstance(of, InferRequest) else of.outputs))

    def whole(self, most: int) -> bytes:
        """The JSON; ValueError for bytes that it can't hold."""
        if isinstance(self.of, InferRequest):
            return client.encode_http(self.of)[0]
        asked = InferRequest(self.of.model, self.of.version, self.of.id, [])
        parts, _ = rest_codec.encode_response(self.of, asked)
        return b"".join(parts)


def document(of: Any) -> Bytes:
    """A V1 document that went from one step of a graph to another."""
    try:
        data = orjson.dumps(of)
    except TypeError:  # integers of more than 64 bits
        data = json.dumps(of).encode()
    return Bytes({b"content-type": JSON.encode()}, [data], len(data))


def _size(tensor: Tensor) -> int:
    data = tensor.data
    if data.dtype != BYTES:
        return data.nbytes
    return _LENGTH * data.size + sum(map(len, data.flat))


@dataclass(slots=True)
class Record:
    """One event. `kind`: request or response; `time` in seconds since 1970; `held`: bytes that it keeps
    in memory, which are the body's `size` unless that is too large for anybody; `tries`: how often a
    sink that is there hasn't taken it.
    """

    kind: str
    id: str
    time: float
    model: str
    version: str
    body: Bytes | Tensors
    size: int
    held: int
    more: dict[str, str] = field(default_factory=dict)  # attributes
    tries: int = 0


def held(body: Bytes | Tensors, most: int) -> tuple[Bytes | Tensors, int]:
    """The body and its bytes; without what it holds where that is more than `most`, or gone."""
    size = body.size
    if size <= most and not (isinstance(body, Bytes) and body.parts is None):
        return body, size
    kind = body.kind.encode("latin-1")
    return Bytes({b"content-type": kind}, None, size), 0


def metadata(pairs: list[tuple[str, str]], names: list[str]) -> str:
    """Headers of these names as KServe's attribute has them, under the names as they were configured."""
    if not names:
        return "{}"
    wanted = {name.lower(): name for name in names}
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in wanted:
            found.setdefault(wanted[name], []).append(value)
    return orjson.dumps(found).decode()
