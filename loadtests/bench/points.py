"""What is measured: each case is a few points, each point a request mix at one concurrency."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from loadtests.requests import Request, binary_request, digits, echo, flowers, queries, sentences

BARE = "bare"  # the server that knows nothing but identity


@dataclass(frozen=True)
class Point:
    """One figure to measure: `requests` in turn, from `connections` with `streams` in flight each."""

    case: str
    label: str
    requests: tuple[Request, ...]
    connections: int
    streams: int = 1
    rows: int = 1  # units of work in one request
    longer: float = 1  # how many times as long to measure, where answers are slow
    copies: int = 1  # how many identity models the server holds
    plain_client: bool = False  # the Python one, whatever else is installed
    load: float = 0  # open loop: this share of the rate at the point `capacity`
    capacity: str = ""
    whose: str = ""  # of this server; '' for one's own

    @property
    def key(self) -> str:
        """Unique among all points."""
        return f"{self.case}: {self.label}"

    @property
    def grpc(self) -> bool:
        """Which port it goes to."""
        return self.requests[0].grpc

    @property
    def models(self) -> set[str]:
        """The models it needs."""
        return {request.model for request in self.requests}


def _mix() -> tuple[Request, ...]:
    """Of forty: twenty-two echoes, twelve digits, four sentences, two tensors of 100 kB."""
    text, digit, large = sentences(), digits(), binary_request("identity", 100_000, grpc=False)
    block = [echo(), digit[0], echo(), text[0], echo(), echo(), digit[1], echo(), echo(), digit[2]]
    mix = [*block * 4]
    for turn in range(4):
        mix[turn * 10 + 3] = text[turn * 7]
    mix[4] = mix[24] = large
    return tuple(mix)


def _plain(
    case: str, requests: tuple[Request, ...], *connections: int, longer: float = 1
) -> Iterable[Point]:
    return (Point(case, f"{n} connections", requests, n, longer=longer) for n in connections)


def _binary(case: str, size: int, longer: float = 1) -> Iterable[Point]:
    for name, grpc in (("HTTP", False), ("gRPC", True)):
        request = binary_request("identity", size, grpc)
        yield Point(case, f"{name}, 4 connections", (request,), 4, longer=longer)


def _grpc() -> Iterable[Point]:
    small = (binary_request("identity", 16, grpc=True),)
    yield Point("echo-grpc", "1 in flight", small, 1)
    yield Point("echo-grpc", "32 in flight", small, 8, streams=4)


def _open_loop() -> Iterable[Point]:
    """Shares of what a server can do while it shares the cores with the client that keeps to rates."""
    # Of a few dozen texts per second it takes a while until there is a 99th percentile.
    for name, longer in (("echo-http", 2), ("sentences", 5), ("echo-grpc", 2)):
        (closed,) = (p for p in CASES[name]() if p.connections * p.streams == 32)
        capacity = replace(closed, case="open-loop", label=f"{name} at most", plain_client=True)
        yield capacity
        own = replace(
            closed,
            case="open-loop",
            label=f"{name} at 70%",
            connections=64 // closed.streams,
            load=0.7,
            capacity=capacity.key,
            longer=longer,
        )
        yield own
        yield replace(own, label=f"{name} at 70% of KServe's", whose="kserve-tuned")


def _payload() -> Iterable[Point]:
    for size in (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        request = (binary_request("identity", size, grpc=False),)
        yield Point("curve-payload", f"{size} bytes", request, 8)


def _models() -> Iterable[Point]:
    for count in (1, 10, 100):
        requests = tuple(echo(name) for name in copies(count))
        yield Point("curve-models", f"{count} models", requests, 32, copies=count)


def _batch() -> Iterable[Point]:
    for rows in (1, 4, 16, 64, 256):
        yield Point("curve-batch", f"digits, {rows} rows", digits(rows), 8, rows=rows)
    for rows in (1, 4, 16, 32):
        yield Point("curve-batch", f"sentences, {rows} texts", sentences(rows), 4, rows=rows)


def _placement() -> Iterable[Point]:
    """What a model of its own replica costs: the same request to both."""
    for name, requests in {
        "echo": (echo(),),
        "echo-remote": (echo("identity-remote"),),
        "sentences": sentences(),
        "sentences-remote": sentences(model="sentences-remote"),
    }.items():
        for connections in (1, 32):
            label = f"{name}, {connections} connections"
            yield Point("curve-placement", label, requests, connections)


def copies(count: int) -> list[str]:
    """The names of `count` identity models."""
    return ["identity", *(f"identity-{index}" for index in range(1, count))]


CASES: dict[str, Callable[[], Iterable[Point]]] = {
    "echo-http": lambda: _plain("echo-http", (echo(),), 1, 8, 32, 128),
    "echo-remote": lambda: _plain("echo-remote", (echo("identity-remote"),), 1, 32),
    "echo-grpc": _grpc,
    "binary-1mb": lambda: _binary("binary-1mb", 1_000_000),
    "binary-10mb": lambda: _binary("binary-10mb", 10_000_000, longer=2),
    "digits": lambda: _plain("digits", digits(), 1, 32),
    "sentences": lambda: _plain("sentences", sentences(), 1, 8, 32, 64, longer=2),
    "queries": lambda: _plain("queries", queries(), 1, 32),
    "iris": lambda: _plain("iris", flowers("iris"), 1, 32),
    "xgboost": lambda: _plain("xgboost", flowers("xgboost"), 1, 32),
    "mixed": lambda: _plain("mixed", _mix(), 32),
    "open-loop": _open_loop,
    "curve-payload": _payload,
    "curve-connections": lambda: _plain("curve-connections", (echo(),), 1, 4, 16, 64, 256),
    "curve-models": _models,
    "curve-batch": _batch,
    "curve-placement": _placement,
}
Kind = Literal["all", "table", "curves"]


def chosen(text: str) -> list[Point]:
    """The points of comma-separated case names; `table`, `curves` and `all` are groups."""
    groups = {
        "all": list(CASES),
        "table": [name for name in CASES if not name.startswith("curve")],
        "curves": [name for name in CASES if name.startswith("curve")],
    }
    names = [name for part in text.split(",") for name in groups.get(part, [part])]
    if unknown := [name for name in names if name not in CASES]:
        raise SystemExit(f"no case {unknown[0]}; there are {', '.join([*CASES, *groups])}")
    return list({point.key: point for name in names for point in CASES[name]()}.values())
