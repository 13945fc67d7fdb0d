"""How much of HAProxy slow, idle and many clients may take, and for how long: lines of its file.

A connection costs nothing but its place, so there are many of them, and none is kept for who sends
nothing. Of the last eighth each address gets a few: whoever has taken the others, probes and other
clients are answered, by 503 (UNAVAILABLE) where there is no room for more than health.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# That HAProxy counts for a connection: the client's, a Router's, and pipes to splice for some.
_FILES = 2.5
_OTHER_FILES = 400  # sockets, checks, logs
_FEW = 64  # connections of an address, when there are few left
_SERVICE = "/inference.GRPCInferenceService/"
_HEALTH = {
    "http_frontend": "/v2/health/live /v2/health/ready /-/healthz /-/routes",
    "grpc_frontend": f"{_SERVICE}ServerLive {_SERVICE}ServerReady /grpc.health.v1.Health/Check "
    "/ray.serve.RayServeAPIService/Healthz",
}
# Whose bodies are waited for here: of one message, of Tandem's own protocols. Others may be streams.
_WHOLE = {
    "http_frontend": f"path_beg /v2/ /v1/ /openai/ {_SERVICE}",
    "grpc_frontend": f"path_beg {_SERVICE} /grpc.health.v1.Health/Check",
}
_STREAM = f"path {_SERVICE}ModelStreamInfer"
_FULL = "too many connections at once; try again later"
_MANY = "too many requests of this address at once; try again later"
_SLOW = "the request did not come within the time that a client has for it"
_GONE = "no Router is ready; try again later"
_LOST = "the Router ended while it had the request"
# HAProxy's own errors, and what gRPC calls them: DEADLINE_EXCEEDED, UNAVAILABLE.
_ERRORS = {408: (_SLOW, 4), 502: (_LOST, 14), 503: (_GONE, 14), 504: (_GONE, 14)}


@dataclass(frozen=True)
class Bounds:
    """Seconds, and numbers of connections. `per_address` 0: as many as there is room for.

    `arrive`: for the headers, and again for the body, or as much of it as a buffer takes. `silent`:
    in the middle of a longer body, or of an answer that the client doesn't read; `arrive` at least.
    """

    arrive: int = 10
    silent: int = 60
    per_address: int | None = None
    files: int = 2**20

    @classmethod
    def of(cls, environment: Mapping[str, str], files: int) -> "Bounds":
        """As the environment has it, with so many files that a process may open."""

        def number(name: str) -> int | None:
            return int(text) if (text := environment.get(name, "")).isdigit() else None

        return cls(
            number("TANDEM_CLIENT_ARRIVES_S") or cls.arrive,
            number("TANDEM_CLIENT_SILENT_S") or cls.silent,
            number("TANDEM_CONNECTIONS_PER_ADDRESS"),
            files,
        )


def bounded(lines: list[str], bounds: Bounds) -> Iterator[str]:
    """The lines, with these bounds among them; once, however often."""
    fronts = [name for name in _HEALTH if f"frontend {name}" in lines]
    limited = any(line.split()[:1] == ["maxconn"] for line in lines)
    if not fronts or not limited or "backend client_connections" in lines:
        yield from lines
        return
    most, section = 0, ""
    for given in lines:
        line, words = given, given.split()
        if words and not line[0].isspace():
            section = words[-1]
        if section == "global" and words[:1] == ["maxconn"]:
            most = min(int(words[1]), int((bounds.files - _OTHER_FILES) / _FILES))
            yield f"    maxconn {most}"
            continue
        if words[:1] == ["errorfile"] or words[:2] == ["timeout", "http-request"]:
            continue
        if section == "grpc_frontend" and words[:1] == ["bind"]:
            # HAProxy sees by itself that it is HTTP/2; for who has to begin with it, it has no limit.
            line = line.replace(" proto h2", "")
        yield line
        if line == "defaults":
            yield f"    timeout http-request {bounds.arrive}s"
            yield "    timeout tunnel 1h"  # of other applications' WebSockets
            yield from _errors(grpc=False)
        elif section in _HEALTH and words[:1] == ["bind"]:
            yield from (f"    {one}" for one in _front(section, fronts, most, bounds))
            if section == "grpc_frontend":
                yield from _errors(grpc=True)
        elif words[:1] == ["backend"] and section.startswith("grpc-"):
            yield from _errors(grpc=True)
    for name in ("client_connections", "client_requests"):
        yield f"backend {name}"
        yield "    stick-table type ipv6 size 100k expire 1m store conn_cur"


def _front(name: str, fronts: list[str], most: int, bounds: Bounds) -> Iterator[str]:
    """The first rules of a frontend."""
    grpc, served = name == "grpc_frontend", most - most // 8
    each = most * 3 // 4 if bounds.per_address is None else bounds.per_address
    others = "".join(f",add(sess.{one})" for one in fronts if one != name)
    full = f"{{ fe_conn({name}){others} gt {served} }}"
    count = [f"set-var(sess.{one}) fe_conn({one})" for one in fronts if one != name]
    if not grpc:
        # It ends a connection that hasn't asked yet too.
        yield f"timeout client {max(bounds.silent, bounds.arrive)}s"
    yield "tcp-request connection track-sc0 src table client_connections"
    if each:
        yield f"tcp-request connection reject if {{ sc0_conn_cur gt {each} }}"
    yield from (f"tcp-request connection {one}" for one in count)
    yield f"tcp-request connection reject if {{ sc0_conn_cur gt {_FEW} }} {full}"
    yield f"tcp-request connection set-var(sess.late) bool(true) if {full}"
    if grpc:
        yield "http-request reject unless { fc_http_major 2 }"
    yield f"acl asks_health path {_HEALTH[name]}"
    late = "{ var(sess.late) -m bool }"
    yield from (f"http-request {one} if {late}" for one in count)
    yield f"http-request {_refusal(_FULL, grpc)} if {late} {full} !asks_health"
    if each:
        yield "http-request track-sc1 src table client_requests"
        yield f"http-request {_refusal(_MANY, grpc)} if {{ sc1_conn_cur gt {each} }} !asks_health"
    whole = f"{{ {_WHOLE[name]} }}" + (f" !{{ {_STREAM} }}" if grpc else "")
    yield f"http-request wait-for-body time {bounds.arrive}s if METH_POST {whole}"


def _refusal(message: str, grpc: bool) -> str:
    """An answer of HAProxy's own."""
    if grpc:
        return f'return status 200 hdr grpc-status 14 hdr grpc-message "{message}"'
    return f"return status 503 {_json(message)} hdr connection close"


def _errors(*, grpc: bool) -> Iterator[str]:
    """Serve has 500 for all of them; these say what clients may do about it."""
    for status, (message, code) in _ERRORS.items():
        answer = f'hdr grpc-status {code} hdr grpc-message "{message}"' if grpc else _json(message)
        yield f"    http-error status {status} {answer}"


def _json(message: str) -> str:
    body = re.sub(r"([\"\\ ])", r"\\\1", f'{{"error":"{message}"}}')
    return f"content-type application/json string {body} hdr retry-after 1"
