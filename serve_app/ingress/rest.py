"""V2 and V1 over HTTP as a plain ASGI application: no framework on the request path."""

import logging
import re
from collections.abc import Callable
from typing import Any

import orjson

from serve_app.config import Limits
from serve_app.core.dataplane import DataPlane
from serve_app.core.deadlines import Departures
from serve_app.core.paths import Paths
from serve_app.errors import (
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    TandemError,
    Unavailable,
    Unsupported,
)
from serve_app.http.asgi import (
    JSON,
    OCTETS,
    Disconnected,
    Headers,
    Receive,
    Scope,
    Send,
    call_of,
    read_body,
    respond,
    respond_packed,
    watched,
)
from serve_app.ingress import openai, openai_answers
from serve_app.ingress.docs import docs_app
from serve_app.ingress.generate import GenerateApp
from serve_app.ingress.status import RETRY_AFTER_SECONDS, http_status
from serve_app.protocol import elements, raw_request, rest_codec, v1_codec
from serve_app.protocol.tensors import InferRequest

log = logging.getLogger("tandem")

_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(infer|ready|config|stats))?")
_GENERATE = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/(generate|generate_stream)")
_OPENAI = re.compile(rf"(?:/openai)?/v1/({'|'.join(openai.ROUTES)})")
_OPENAI_MODEL = re.compile(r"/openai/v1/models/(.+)")
_V1_MODEL = re.compile(r"/v1/models/([^/:]+)(?::(predict|explain))?")
_V1_ADAPTER = re.compile(r"/v1/models/([^/]+)")  # `name:folder`, for OpenAI's clients
_LOAD = re.compile(r"/v2/repository/models/[^/]+/(?:load|unload)")
_ABSENT = re.compile(
    r"/v2/(?:systemsharedmemory|cudasharedmemory|trace|logging)(?:/.*)?"
    r"|/v2/models/[^/]+(?:/versions/[^/]+)?/trace/setting"
)
_DOCS = ("/docs", "/openapi.json")
PROTOCOLS = ("/v2", "/v1", "/openai")  # what the fast path takes


class RestApp:
    """Dispatches by path; every error leaves as `{"error": …}` with its status."""

    def __init__(
        self, plane: DataPlane, limits: Callable[[], Limits], paths: Paths | None = None
    ) -> None:
        self.plane = plane
        self.limits = limits
        self.paths = paths or Paths()
        self._docs = docs_app(plane)
        self._openai = openai.OpenAIApp(plane, limits)
        self._generate = GenerateApp(plane, limits)
        self._infer_watched = watched(plane.infer, Departures())
        self._explain_watched = watched(plane.explain, Departures())
        self._plain = {
            "/v2/health/live": ("GET", self._live),
            "/v2/health/ready": ("GET", self._ready),
            "/v2": ("GET", self._server),
            "/v2/models": ("GET", self._list),
            "/v2/models/stats": ("GET", self._all_stats),
            "/v2/repository/index": ("POST", self._index),
            "/v1/models": ("GET", self._v1_list),
            "/openai/v1/models": ("GET", self._openai_list),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> int:
        """ASGI entry, by Serve's way; the status, 499 for a client that left."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return 0
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return 0
        if scope["path"].startswith(PROTOCOLS):  # else there is no other way
            self.paths.serve("http")
        return await self.answer(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """The same for HTTP alone, by whichever way it came."""
        try:
            return await self._dispatch(scope, receive, send)
        except TandemError as error:
            return await _send_error(send, error)
        except Disconnected:
            return 499
        except Exception:
            log.exception("the ingress itself failed on %s %s", scope["method"], scope["path"])
            body = b'{"error":"internal error; the server log has it"}'
            await respond(send, 500, [body], [JSON])
            return 500

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answers; the status."""
        path, method = scope["path"], scope["method"]
        if match := _MODEL.fullmatch(path):
            name, version, verb = match.groups()
            if verb == "infer":
                _require("POST", method)
                return await self._infer(scope, receive, send, name, version or "")
            if path != "/v2/models/stats":
                _require("GET", method)
                return await self._about(send, name, version or "", verb)
        if plain := self._plain.get(path):
            wanted, handle = plain
            _require(wanted, method)
            return await handle(scope, receive, send)
        if match := _OPENAI.fullmatch(path):
            return await self._openai(scope, receive, send, match[1])
        if match := _GENERATE.fullmatch(path):
            _require("POST", method)
            return await self._generate(scope, receive, send, *match.groups())
        if match := _OPENAI_MODEL.fullmatch(path):
            _require("GET", method)
            return await self._openai_model(send, match[1])
        if match := _V1_MODEL.fullmatch(path):
            return await self._v1(scope, receive, send, *match.groups())
        if method == "GET" and (match := _V1_ADAPTER.fullmatch(path)):
            return await self._v1(scope, receive, send, match[1], None)
        if path.startswith(_DOCS):
            await self._docs(scope, receive, send)
            return 200
        if _LOAD.fullmatch(path):
            raise Unsupported("models are loaded and unloaded by deploying a changed config")
        if _ABSENT.fullmatch(path):
            raise Unsupported(f"{path}: shared memory, trace and log settings are not supported")
        raise NotFound(f"no route {path}")

    async def _infer(self, scope: Scope, receive: Receive, send: Send, name: str, version: str) -> int:
        headers: Headers = dict(scope["headers"])
        try:
            body = await read_body(receive, headers, self.limits())
            length = _length(headers.get(b"inference-header-content-length"))
            if length == 0:
                request = self._raw(body, headers.get(b"accept", b""), name, version)
            else:
                request = rest_codec.decode_request(body, length, name, version)
        except TandemError as error:
            self.plane.refused(call_of(scope, InferRequest(name, version, "", [])), error)
            raise
        response = await self._infer_watched(call_of(scope, request), receive)
        parts, json_length = rest_codec.encode_response(response, request)
        out = [JSON]
        if json_length is not None:
            out = [OCTETS, (b"inference-header-content-length", b"%d" % json_length)]
        accept = headers.get(b"accept-encoding")
        await respond_packed(send, parts, out, accept, self.limits().min_compress_bytes)
        return 200

    def _raw(self, body: bytes, accept: bytes, name: str, version: str) -> InferRequest:
        # The answer is binary as the request is, unless the client takes nothing but JSON.
        binary = b"application/json" not in accept or b"*/*" in accept or OCTETS[1] in accept
        picked = self.plane.directory.model(name).pick(version)
        rows = picked.about.max_batch_size > 0
        return raw_request.decode_request(
            body, name, version, picked.signature, rows=rows, binary=binary
        )

    async def _about(self, send: Send, name: str, version: str, verb: str | None) -> int:
        if verb == "ready":
            ready = self.plane.model_ready(name, version)
            return await _send_json(send, {"name": name, "ready": ready}, 200 if ready else 503)
        if verb == "config":
            return await _send_json(send, self.plane.model_config(name, version))
        if verb == "stats":
            return await _send_json(send, {"model_stats": self.plane.statistics(name, version)})
        return await _send_json(send, self.plane.model_metadata(name, version))

    async def _v1(self, scope: Scope, receive: Receive, send: Send, name: str, verb: str | None) -> int:
        if verb is None:
            _require("GET", scope["method"])
            about = openai_answers.card_of(self.plane, name)
            if about and name not in self.plane.directory.models:
                return await _send_json(send, about)  # an adapter, which only OpenAI's clients know
            ready = self.plane.model_ready(name)
            about |= {"name": name, "ready": ready}
            return await _send_json(send, about, 200 if ready else 503)
        _require("POST", scope["method"])
        if verb == "explain":
            self.plane.check_explains(name)  # before the body is read
        headers: Headers = dict(scope["headers"])
        body = await read_body(receive, headers, self.limits())
        signature = self.plane.directory.model(name).pick().signature
        request, by_row = v1_codec.decode_request(body, name, signature)
        call = call_of(scope, request)
        if verb == "explain":
            response = await self._explain_watched(call, receive)
            answer = v1_codec.encode_response(response, by_row, "explanations")
        else:
            answer = v1_codec.encode_response(await self._infer_watched(call, receive), by_row)
        accept = headers.get(b"accept-encoding")
        await respond_packed(send, [answer], [JSON], accept, self.limits().min_compress_bytes)
        return 200

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await _send_json(send, {"live": True})

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> int:
        ready = self.plane.ready
        return await _send_json(send, {"ready": ready}, 200 if ready else 503)

    async def _server(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await _send_json(send, self.plane.server_metadata())

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await _send_json(send, {"models": list(self.plane.directory.models)})

    async def _v1_list(self, scope: Scope, receive: Receive, send: Send) -> int:
        """KServe's list and OpenAI's at once: neither reader minds the other's keys."""
        about = {"models": list(self.plane.directory.models), **openai_answers.cards(self.plane)}
        return await _send_json(send, about)

    async def _openai_list(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await _send_json(send, openai_answers.cards(self.plane))

    async def _openai_model(self, send: Send, name: str) -> int:
        try:
            model = self.plane.directory.engine(name)
            if not (about := openai_answers.card_of(self.plane, name)):
                raise Unavailable(f"model '{name}' is not ready: {model.reason}")
            return await _send_json(send, about)
        except TandemError as error:
            return await openai_answers.send_error(send, error)

    async def _all_stats(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await _send_json(send, {"model_stats": self.plane.statistics()})

    async def _index(self, scope: Scope, receive: Receive, send: Send) -> int:
        body = await read_body(receive, dict(scope["headers"]), self.limits())
        wanted = elements.load_json(body) if body else {}
        ready = elements.given(wanted).get("ready", False) if isinstance(wanted, dict) else None
        if not isinstance(ready, bool):
            raise InvalidArgument('the body must be empty or {"ready": true|false}')
        return await _send_json(send, self.plane.repository_index(ready))


def _require(wanted: str, method: str) -> None:
    if method != wanted:
        raise MethodNotAllowed(f"{method} is not allowed here, {wanted} is", wanted)


def _length(header: bytes | None) -> int | None:
    if header is None:
        return None
    if not header.isdigit() or len(header) > 18:
        raise InvalidArgument(
            "Inference-Header-Content-Length must be a number of bytes, "
            f"got '{header.decode('latin-1')[:40]}'"
        )
    return int(header)


async def _send_json(send: Send, value: Any, status: int = 200) -> int:
    await respond(send, status, [orjson.dumps(value)], [JSON])
    return status


async def _send_error(send: Send, error: TandemError) -> int:
    headers = [JSON]
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    message = error.message.encode("utf-8", "replace").decode()
    body = orjson.dumps({"error": message})
    await respond(send, http_status(error), [body], headers)
    return http_status(error)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
