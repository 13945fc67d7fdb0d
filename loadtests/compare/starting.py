"""A server's start, timed from outside, and split by what its models say of their loading."""

import time
from typing import Any

import orjson

from loadtests.answers import Answer, Answers, Refused, ask, differing
from loadtests.compare.cases import Case
from loadtests.compare.results import Start
from loadtests.requests import Request
from loadtests.servers import Server

_PAUSE_S = 0.05
_PATIENCE_S = 30


def timed(server: Server, cases: list[Case], answers: Answers, number: int) -> Start:
    """Start it; RuntimeError when it doesn't become ready, or its first answers are wrong ones."""
    started = time.monotonic()
    server.start()
    server.until_ready(_PAUSE_S)
    ready = time.monotonic() - started
    for case in cases:
        request = case.requests[0]
        known = answers.known(request)
        got = _first(server, request)
        if known is not None and (problem := differing(known, got)):
            raise RuntimeError(f"the first answer to {case.name} is wrong: {problem}")
    first = time.monotonic() - started
    return Start(server.name, number, ready, first, **split(server.text(), server.began))


def _first(server: Server, request: Request) -> Answer:
    """Its first answer: gRPC may come up a little after HTTP says that all is ready."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask(server.target, request)
        except (Refused, OSError):
            if time.monotonic() > deadline or not server.alive:
                raise
            time.sleep(_PAUSE_S)


def split(log: str, began: float) -> dict[str, float]:
    """Seconds of a start's parts by the lines that `serve_app.observability.logs` writes."""
    lines = [line for line in map(_loaded, log.splitlines()) if line]
    if not lines:
        return {}
    process = min(line["process_began"] for line in lines)
    return {
        "platform": max(0.0, process - began),
        "imports": max(0.0, min(line["began"] for line in lines) - process),
        "load": sum(line["load_s"] for line in lines),
        "warm_up": sum(line["warm_up_s"] for line in lines),
    }


def _loaded(line: str) -> dict[str, Any] | None:
    """The event in a line, which Ray may have put a prefix to."""
    at = line.find('{"time":')
    if at < 0 or '"event":"loaded"' not in line:
        return None
    try:
        found: dict[str, Any] = orjson.loads(line[at:])
    except orjson.JSONDecodeError:
        return None
    return found
