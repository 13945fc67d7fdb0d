"""V2 and V1 over HTTP as a plain ASGI application: no framework on the request path."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from copy import copy

from serve_app.config import Cors, Limits
from serve_app.core.call import REQUEST_ID, Call, name_in
from serve_app.core.dataplane import DataPlane
from serve_app.core.deadlines import Departures
from serve_app.core.paths import Paths
from serve_app.core.version import Version
from serve_app.errors import (
    InvalidArgument,
    ModelFailed,
    TandemError,
    UnknownRoute,
    Unsupported,
)
from serve_app.http import cors
from serve_app.http.asgi import (
    JSON,
    OCTETS,
    Disconnected,
    Headers,
    Outgoing,
    Receive,
    Scope,
    Send,
    call_of,
    read_packed,
    respond,
    respond_packed,
    watched,
)
from serve_app.ingress import admin, openai
from serve_app.ingress.about import About
from serve_app.ingress.answers import require, send_error, send_json
from serve_app.ingress.apart import LARGE, Apart
from serve_app.ingress.docs import DocsApp
from serve_app.ingress.generate import GenerateApp
from serve_app.ingress.payloads import listening
from serve_app.ingress.v1 import V1App
from serve_app.observability.payloads.log import PayloadLog
from serve_app.protocol import raw_request, rest_codec
from serve_app.protocol.codings import unpacked
from serve_app.protocol.tensors import InferRequest

log = logging.getLogger("tandem")

_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(infer|ready|config|stats))?")
_EXPLAIN = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/explain")
_GENERATE = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/(generate|generate_stream)")
_OPENAI = re.compile(rf"(?:/openai)?/v1/({'|'.join(openai.ROUTES)})")
_OPENAI_MODEL = re.compile(r"/openai/v1/models/(.+)")
_V1_MODEL = re.compile(r"/v1/models/([^/:]+)(?::(predict|explain))?")
_V1_ADAPTER = re.compile(r"/v1/models/([^/]+)")  # `name:folder`, for OpenAI's clients
_ABSENT = re.compile(
    r"/v2/(?:systemsharedmemory|cudasharedmemory|trace|logging)(?:/.*)?"
    r"|/v2/models/[^/]+(?:/versions/[^/]+)?/trace/setting"
)
_MOST_HERE = 2**16  # elements of an output that are encoded on the event loop
_DOCS = re.compile(r"/docs(?:/.*)?|/openapi\.json")
PROTOCOLS = ("/v2", "/v1", "/openai")  # what the fast path takes


class ByServe:
    """A RestApp where Serve asks: counted as such, and the X-Request-Id of answers is Serve's to add."""

    def __init__(self, rest: "RestApp") -> None:
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> int:
        """ASGI entry; the status."""
        if scope["type"] == "http" and scope["path"].startswith(PROTOCOLS):  # else there is no other way
            self._rest.paths.serve("http")
        return await self._rest(scope, receive, send, named=True)


class RestApp:
    """Dispatches by path; every error leaves as `{"error": …}` with its status."""

    def __init__(
        self,
        plane: DataPlane,
        limits: Callable[[], Limits],
        paths: Paths | None = None,
        apart: Apart | None = None,
    ) -> None:
        self.plane = plane
        self.limits = limits
        self.paths = paths or Paths()
        self._docs = DocsApp(plane)
        self._openai = openai.OpenAIApp(plane, limits)
        self._apart = apart = apart or Apart()
        self._generate = GenerateApp(plane, limits, apart)
        self._v1 = V1App(plane, limits, apart)
        self.cors: Cors | None = None
        self.admin: admin.AdminApp | None = None  # load and unload, where they are configured
        self._infer_watched = watched(plane.infer, Departures())
        # The same way, and at its end another verb: inference takes no step more for that.
        self._explaining = copy(self)
        self._explaining._infer_watched = watched(plane.explain, Departures())
        self._about = About(plane, limits)
        self._plain = {**self._about.routes, "/v1/models": ("GET", self._v1.listed)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send, named: bool = False) -> int:
        """ASGI entry; the status, 499 for a client that left. `named`: as `answer` has it."""
        if scope["type"] == "http":
            return await self.answer(scope, receive, send, named)
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})
        return 0

    def heard_by(self, log: PayloadLog | None) -> None:
        """Let it hear what comes and goes from now on; None: nobody does, and nothing of it is there."""
        vars(self).pop("answer", None)
        if log is not None:
            self.answer = listening(self.answer, log)  # type: ignore

    async def answer(self, scope: Scope, receive: Receive, send: Send, named: bool = False) -> int:
        """HTTP alone, by whichever way it came; `named`: the answer has its X-Request-Id from others."""
        scope["request_id"] = id = name_in(scope["headers"])
        out = Outgoing(send, bodiless=scope["method"] == "HEAD")
        if id and not named:
            out.headers.append((REQUEST_ID.encode(), id.encode()))
        path = scope["path"]
        try:
            if self.cors is not None:
                out.headers += cors.headers(scope, self.cors)
                if cors.asks(scope):
                    return await _preflight(out, scope, self.cors)
            if out.bodiless or (path.endswith("/") and path != "/"):
                path = path.rstrip("/") or "/"
                scope = {**scope, "path": path, "method": "GET" if out.bodiless else scope["method"]}
            return await self._dispatch(scope, receive, out)
        except TandemError as error:
            return await send_error(out, error, path)
        except Disconnected:
            return 499
        except Exception:
            log.exception("the ingress itself failed on %s %s", scope["method"], scope["path"])
            return await send_error(out, ModelFailed("internal error; the server log has it"), path)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answers; the status."""
        path, method = scope["path"], scope["method"]
        if match := _MODEL.fullmatch(path):
            name, version, verb = match.groups()
            if verb == "infer":
                require("POST", method)
                return await self._infer(scope, receive, send, name, version or "")
            if path != "/v2/models/stats":
                require("GET", method)
                return await self._about.model(send, name, version or "", verb)
        if plain := self._plain.get(path):
            wanted, handle = plain
            require(wanted, method)
            return await handle(scope, receive, send)
        if match := _OPENAI.fullmatch(path):
            return await self._openai(scope, receive, send, match[1])
        if match := _GENERATE.fullmatch(path):
            require("POST", method)
            return await self._generate(scope, receive, send, *match.groups())
        if match := _EXPLAIN.fullmatch(path):
            require("POST", method)
            self.plane.check_explains(match[1], match[2] or "")  # before the body is read
            return await self._explaining._infer(scope, receive, send, match[1], match[2] or "")
        if match := _OPENAI_MODEL.fullmatch(path):
            require("GET", method)
            return await self._about.openai_model(send, match[1])
        if match := _V1_MODEL.fullmatch(path):
            return await self._v1(scope, receive, send, *match.groups())
        if method == "GET" and (match := _V1_ADAPTER.fullmatch(path)):
            return await self._v1(scope, receive, send, match[1], None)
        if _DOCS.fullmatch(path):
            require("GET", method)
            return await self._docs(scope, receive, send)
        if match := admin.ROUTE.fullmatch(path):
            if self.admin is None:
                raise Unsupported(admin.OFF)
            return await self.admin.http(scope, receive, send, match)
        if _ABSENT.fullmatch(path):
            raise Unsupported(f"{path}: shared memory, trace and log settings are not supported")
        raise UnknownRoute(f"no route {path}")

    async def _infer(self, scope: Scope, receive: Receive, send: Send, name: str, version: str) -> int:
        headers: Headers = dict(scope["headers"])
        try:
            body, coding = await read_packed(receive, headers, self.limits())
            began = time.monotonic()
            length = _length(headers.get(b"inference-header-content-length"))
            if length == 0:
                call = await self._raw(scope, body, coding, name, version)
                request = call.request
            elif coding or len(body) >= LARGE:
                self.plane.check_room(call_of(scope, InferRequest(name, version, "", [])))
                most, cost = self.limits().max_body_bytes, rest_codec.dear(body, length)
                about = length, name, version
                request, _ = await self._apart.http("rest", body, coding, most, about, cost)
                call = call_of(scope, request)
            else:
                request = rest_codec.decode_request(body, length, name, version)
                call = call_of(scope, request)
        except TandemError as error:
            self.plane.refused(call_of(scope, InferRequest(name, version, "", [])), error)
            raise
        call.decoding = time.monotonic() - began
        response = await self._infer_watched(call, receive)
        began = time.monotonic()
        if any(tensor.data.size > _MOST_HERE for tensor in response.outputs):
            encode = asyncio.to_thread(rest_codec.encode_response, response, request)
            parts, json_length = await encode
        else:
            parts, json_length = rest_codec.encode_response(response, request)
        self.plane.encoded(call, time.monotonic() - began)
        out = [JSON]
        if json_length is not None:
            out = [OCTETS, (b"inference-header-content-length", b"%d" % json_length)]
        await respond_packed(
            send, parts, out, headers.get(b"accept-encoding"), self.limits().min_compress_bytes,
            call.answer_headers,
        )  # fmt: skip
        return 200

    async def _raw(self, scope: Scope, body: bytes, coding: bytes, name: str, version: str) -> Call:
        """Of a body that is one tensor: what traffic chose for it decodes it, and answers."""
        body = await unpacked(body, coding, self.limits().max_body_bytes)
        model = self.plane.directory.model(name)
        bare = call_of(scope, InferRequest(name, version, "", [])) if model.split else None
        picked = model.pick(version, bare)
        if picked.cold:
            picked = await self.plane.awake(name, version, bare)
        accept = dict(scope["headers"]).get(b"accept", b"")
        call = call_of(scope, _decoded_raw(body, accept, name, version, picked))
        if not version and model.split:
            call.version = chosen = model.decided(picked, call)
            if chosen.signature != picked.signature:
                call.request = _decoded_raw(body, accept, name, version, chosen)
        return call


def _decoded_raw(body: bytes, accept: bytes, name: str, version: str, picked: Version) -> InferRequest:
    # The answer is binary as the request is, unless the client takes nothing but JSON.
    binary = b"application/json" not in accept or b"*/*" in accept or OCTETS[1] in accept
    rows = picked.about.max_batch_size > 0
    return raw_request.decode_request(body, name, version, picked.signature, rows=rows, binary=binary)


def _length(header: bytes | None) -> int | None:
    if header is None:
        return None
    if not header.isdigit() or len(header) > 18:
        raise InvalidArgument(
            "Inference-Header-Content-Length must be a number of bytes, "
            f"got '{header.decode('latin-1')[:40]}'"
        )
    return int(header)


async def _preflight(send: Outgoing, scope: Scope, config: Cors) -> int:
    if not cors.allowed(scope, config):
        return await send_json(send, {"error": "this page's origin is not in cors.allowOrigins"}, 403)
    await respond(send, 204, [], cors.preflight(scope, config))
    return 204


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
