"""Whether servers answer alike: the same bytes go to each, and what comes back must be equal."""

import http.client
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import orjson

from loadtests.client.target import Target
from loadtests.requests import Request
from serve_app.protocol import client
from serve_app.protocol.tensors import Arrays

_CLOSE = 1e-3  # floats of models may differ by rounding, as batches differ
_TIMEOUT_S = 60
Answer = Arrays


class Refused(Exception):
    """The server doesn't answer this kind of request."""


class Different(Exception):
    """Two servers answer the same request differently."""


def get(target: Target, path: str, body: bytes | None = None) -> Any:
    """The JSON of a GET, or of a POST of `body`; Refused when it is an error."""
    _, answer = _exchange(target, "GET" if body is None else "POST", path, body, {})
    return orjson.loads(answer)


def ask(target: Target, request: Request) -> Answer:
    """One request, its answer as arrays by name; Refused when it is an error."""
    if request.grpc:
        return decoded(request, _ask_grpc(target, request))
    length, body = _exchange(target, "POST", request.path, request.body, request.headers)
    return decoded(request, body, length)


def decoded(request: Request, body: bytes, json_length: str | None = None) -> Answer:
    """The arrays of an answer that has arrived; Refused when they can't be read."""
    try:
        answer = client.decode_grpc(body) if request.grpc else client.decode_http(body, json_length)
    except Exception as error:
        raise Refused(f"an answer that can't be read: {type(error).__name__}: {error}") from None
    return answer.arrays


def differing(one: Answer, other: Answer) -> str:
    """How two answers to the same request differ, or ''."""
    if one.keys() != other.keys():
        return f"the outputs are {sorted(one)} and {sorted(other)}"
    for name, array in one.items():
        if array.shape != other[name].shape:
            return f"'{name}' has the shapes {list(array.shape)} and {list(other[name].shape)}"
        if array.dtype != other[name].dtype:
            return f"'{name}' is {array.dtype} and {other[name].dtype}"
        same = (
            np.allclose(array, other[name], atol=_CLOSE, equal_nan=True)
            if array.dtype.kind == "f"
            else np.array_equal(array, other[name])
        )
        if not same:
            return f"they differ in '{name}'"
    return ""


class Answers:
    """Remembers the first answer to each request and holds every later one against it."""

    def __init__(self) -> None:
        self._known: dict[Request, tuple[str, Answer]] = {}

    def check(self, target: Target, requests: Iterable[Request], what: str) -> None:
        """Ask each once; Different when an answer is not what another server's was."""
        for request in dict.fromkeys(requests):
            got = _plain(ask(target, request)) if request.loose else ask(target, request)
            first, known = self._known.setdefault(request, (target.name, got))
            if problem := differing(known, got):
                raise Different(f"{what}: {first} and {target.name} answer differently: {problem}")

    def known(self, request: Request) -> Answer | None:
        """What `check` has seen first."""
        found = self._known.get(request)
        return found[1] if found else None


def _plain(answer: Answer) -> Answer:
    """Of one output its rows, whatever it is called and however deep they are."""
    return {f"{at}": one.reshape(len(one), -1) for at, one in enumerate(answer.values())}


def _exchange(
    target: Target, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[str | None, bytes]:
    host, tls = target.url.hostname or "", target.context()
    connection = (
        http.client.HTTPSConnection(host, target.port, timeout=_TIMEOUT_S, context=tls)
        if tls
        else http.client.HTTPConnection(host, target.port, timeout=_TIMEOUT_S)
    )
    try:
        connection.request(method, target.url.path + path, body, {**target.headers(), **headers})
        answer = connection.getresponse()
        found = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise Refused(f"{answer.status} {found[:200].decode('utf-8', 'replace')}")
    return answer.headers.get(client.LENGTH), found


def _ask_grpc(target: Target, request: Request) -> bytes:
    with _channel(target) as channel:
        metadata = [("authorization", f"Bearer {target.token}")] if target.token else None
        try:
            answer: bytes = channel.unary_unary(request.path)(
                request.body, timeout=_TIMEOUT_S, wait_for_ready=True, metadata=metadata
            )
        except grpc.RpcError as error:
            raise Refused(str(error)[:200]) from None
        return answer


def _channel(target: Target) -> grpc.Channel:
    options: list[tuple[str, Any]] = [("grpc.max_receive_message_length", -1)]
    if target.host:
        options.append(("grpc.default_authority", target.host))
    if not target.secure:
        return grpc.insecure_channel(target.grpc, options=options)
    root = Path(target.ca).read_bytes() if target.ca else None
    return grpc.secure_channel(target.grpc, grpc.ssl_channel_credentials(root), options=options)
