"""What is changed in the configuration of HAProxy (2.8) that Serve writes: text in, text out.

The standard library alone: it runs each time that HAProxy starts (`haproxy_start`).
"""

import re
from collections.abc import Iterator

from serve_app.internals.haproxy_bounds import Bounds, bounded

_INFER = "/inference.GRPCInferenceService/ModelInfer"
# With splicing, HAProxy doesn't notice that a client left whose body came after its headers. The others
# are ours, of a file that was edited before.
_DROPPED = re.compile(
    r"\s*option (splice-request|clitcpka)$|\s*clitcpka-"
    rf"|\s*use_backend \S+ if {{ path {_INFER} }}"
)
# What a client that left had sent and HAProxy has no room for hides its leaving. TCP asks after it.
_ASK_AFTER = ("option clitcpka", "clitcpka-idle 30s", "clitcpka-intvl 10s", "clitcpka-cnt 3")
# Who the client is: a Router sees HAProxy's address alone. What a client says of itself is overwritten.
# Not X-Forwarded-For, which uvicorn takes apart for every request (10 of 110 us).
_SAY_WHO = "http-request set-header x-client-address %[src]"
# A port alone, of every interface; `::1:8000` is an address.
_WIDE = re.compile(r"^(\s*bind )\*?:(?=\d)")


def edited(text: str, bounds: Bounds, *, narrow: bool, fast_path: bool) -> str:
    """The configuration for HAProxy: attentive to clients, and on loopback if `narrow`.

    With `fast_path`, Routers answer ModelInfer at their HTTP ports (`serve_app.ingress.grpc_http1`).
    """
    lines = text.splitlines()
    names = {line.split()[1] for line in lines if line.startswith("backend ")}
    changed = _changed(lines, names if fast_path else set(), narrow)
    return "\n".join([*bounded([*changed], bounds), ""])


def _changed(lines: list[str], routable: set[str], narrow: bool) -> Iterator[str]:
    section, told = "", any(_SAY_WHO in line for line in lines)
    for given in lines:
        line, words = given, given.split()
        if words and not line[0].isspace():
            section = words[-1]
        if _DROPPED.match(line):
            continue
        if narrow:
            line = _WIDE.sub(r"\g<1>127.0.0.1:", line)
        # HAProxy reads nothing of a connection while one of its streams has no room: of a connection
        # that many share, one client that doesn't read its answers would stop all the others'.
        if section.startswith("grpc-") and words == ["http-reuse", "always"]:
            line = line.replace("always", "never")
        yield line
        indent = line[: len(line) - len(line.lstrip())]
        if words[:1] == ["bind"] and section.endswith("_frontend") and not told:
            yield indent + _SAY_WHO
        elif words == ["option", "abortonclose"]:
            yield from (indent + one for one in _ASK_AFTER)
        elif words[:1] == ["default_backend"] and words[1].startswith("grpc-"):
            # For calls that name no application, if the one behind the gRPC port has HTTP too.
            there = "http-" + words[1].removeprefix("grpc-")
            if there in routable:
                names_none = "!{ req.hdr(application) -m found }"
                yield f"    use_backend {there} if {{ path {_INFER} }} {names_none}"
