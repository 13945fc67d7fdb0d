"""One request on its way through: what was asked, what came beside it, what became of it."""

import random
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from serve_app.core.version import Version
from serve_app.protocol.tensors import InferRequest, InferResponse

_random = random.Random()  # noqa: S311 - unique is enough; uuid4 asks the system for entropy


def new_id() -> str:
    """An id for a request that came without one: 32 hexadecimal digits."""
    return f"{_random.getrandbits(128):032x}"


REQUEST_ID = "x-request-id"
_NAMED = frozenset({REQUEST_ID, REQUEST_ID.encode()})
_NAME = re.compile(r"[!-~]{1,128}")
_GRPC_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def name_in(pairs: Iterable[tuple[str | bytes, str | bytes]]) -> str:
    """What the caller calls its request (X-Request-Id); '' for nothing.

    One that is longer than 128 characters, or has others than visible ASCII, is none: it goes into
    logs and headers.
    """
    for name, value in pairs:
        if name in _NAMED:
            text = _text(value)
            return text if _NAME.fullmatch(text) else ""
    return ""


class Headers:
    """What came beside a request: HTTP's headers or gRPC's metadata.

    Kept as they came, and read when somebody asks: nobody asks for most. `remaining`: gRPC's own word
    on how many seconds the caller still waits, None for as long as it takes; `name`: what `name_in`
    finds in them, where that was looked for already.
    """

    __slots__ = ("_name", "_pairs", "_remaining")

    def __init__(
        self,
        pairs: Iterable[tuple[str | bytes, str | bytes]] = (),
        remaining: Callable[[], float | None] | None = None,
        name: str | None = None,
    ) -> None:
        self._pairs, self._remaining, self._name = pairs, remaining, name

    def time_left(self, since: float) -> float:
        """Seconds that the caller still waits, `since` seconds after it began; infinite if unsaid."""
        if self._remaining is not None:
            left = self._remaining()
            return float("inf") if left is None else left
        said = _GRPC_TIMEOUT.fullmatch(self.get("grpc-timeout"))
        return int(said[1]) * _UNITS[said[2]] - since if said else float("inf")

    def request_id(self) -> str:
        """As `name_in`."""
        if self._name is None:
            self._name = name_in(self._pairs)
        return self._name

    def first(self, names: Container[str | bytes]) -> str:
        """The first value under one of `names`, in lower case as they come; '' where there is none."""
        for name, value in self._pairs:
            if name in names:
                return _text(value)
        return ""

    def get(self, name: str, default: str = "") -> str:
        """The first value under `name`, whatever its case; `default` where there is none."""
        name = name.lower()
        return next((value for key, value in self.items() if key == name), default)

    def items(self) -> Iterator[tuple[str, str]]:
        """All of them, names in lower case; bytes as Latin-1, as HTTP has it."""
        for name, value in self._pairs:
            yield _text(name).lower(), _text(value)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


NO_HEADERS = Headers()


def address_of(headers: Headers) -> str:
    """The client's, as HAProxy saw it; '' where there is none in front."""
    return headers.get("x-client-address")


@dataclass(slots=True)
class Call:
    """A request and its context, from the edge that decoded it to the observers that hear of its end.

    The edge gives `request`, `headers`, `transport` ("http" or "grpc"), `request_id`, the name of this
    very request ('' for none), whatever the `id` in it says, and `decoding`, the seconds that it spent
    on that; who authenticates sets `principal`. The pipeline fills in the rest: `model`, the name in the
    directory that was found ('' for none), and `version`; `began`, `seconds` and `deadline` by
    `time.monotonic()`; `status`, OK or the kind of error; `response`, the one of a request that has one;
    `verb`, what the data plane was asked for: infer, explain, stream or relay; `answer_headers`, those
    that a transformer sets on an HTTP answer.
    """

    request: InferRequest
    headers: Headers = NO_HEADERS
    transport: str = ""
    principal: str = ""
    decoding: float = 0.0
    model: str = ""
    version: Version | None = None
    began: float = 0.0
    seconds: float | None = None  # None: it came to nothing before it was begun
    deadline: float = float("inf")
    status: str = ""
    response: InferResponse | None = None
    request_id: str = ""
    verb: str = "infer"
    answer_headers: Sequence[tuple[bytes, bytes]] = ()

    @property
    def trace(self) -> str:
        """The W3C trace context that the caller sent (`traceparent`), or ''."""
        return self.headers.get("traceparent")

    def time_left(self, now: float) -> float:
        """Seconds until its time limit here, or the caller's own, if that is known."""
        left = self.deadline - now
        return left if self.transport != "grpc" else min(left, self.headers.time_left(now - self.began))

    def header(self, names: Container[str | bytes]) -> str:
        """What came under one of `names`, in lower case; '' for nothing."""
        return self.headers.first(names)

    def parameter(self, name: str) -> str:
        """The same of the request's parameters."""
        found = self.request.parameters.get(name)
        return "" if found is None else str(found)

    def first(self, name: str) -> str:
        """The first element of an input; '' where there is none. A whole number is the same in every
        datatype: versions may take another one.
        """
        for tensor in self.request.inputs:
            if tensor.name == name and tensor.data.size:
                found = tensor.data.flat[0]
                if tensor.data.dtype.kind == "f" and found.is_integer():
                    return str(int(found))
                return (
                    found.decode("utf-8", "surrogateescape") if isinstance(found, bytes) else str(found)
                )
        return ""

    def client(self) -> str:
        """Who sent it, as far as that is known: the principal, else the address that HAProxy saw."""
        return self.principal or address_of(self.headers)

    @property
    def session(self) -> str:
        """The session that the caller names (`x-session-id`, Serve's own header), or ''."""
        return self.headers.get("x-session-id")
