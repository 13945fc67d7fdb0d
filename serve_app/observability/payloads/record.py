"""A body on its way to a logger, as it was, with what is said of it."""

import zlib
from dataclasses import dataclass, field

import orjson

from serve_app.protocol import client, rest_codec
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor
from serve_app.protocol.wire import Buffer

JSON = "application/json"
_LENGTH = 4  # bytes before each element of BYTES
Pairs = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Bytes:
    """A body over HTTP. `parts` are empty where it has more bytes than anybody wants."""

    headers: dict[bytes, bytes]
    parts: list[Buffer]
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
        """What it says, unpacked; ValueError where it can't be, or where that is more than `most`."""
        data = b"".join(self.parts)
        coding = self.headers.get(b"content-encoding", b"").strip().lower()
        if coding in (b"", b"identity"):
            return data
        if coding not in (b"gzip", b"deflate"):
            raise ValueError(f"unknown Content-Encoding {coding.decode('latin-1')[:40]}")
        unpacking = zlib.decompressobj(47)  # gzip's head or zlib's
        try:
            found = unpacking.decompress(data, most + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(found) > most:
            raise ValueError("too large")
        return found


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


def _size(tensor: Tensor) -> int:
    data = tensor.data
    if data.dtype != BYTES:
        return data.nbytes
    return _LENGTH * data.size + sum(map(len, data.flat))


@dataclass(slots=True)
class Record:
    """One event. `kind`: request or response; `time` in seconds since 1970; `held`: bytes that it keeps
    in memory, which are the body's `size` unless that is too large for anybody.
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


def held(body: Bytes | Tensors, most: int) -> tuple[Bytes | Tensors, int]:
    """The body and its bytes; without what it holds where that is more than `most`."""
    if (size := body.size) <= most:
        return body, size
    kind = body.kind.encode("latin-1")
    return Bytes({b"content-type": kind}, [], size), 0


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
