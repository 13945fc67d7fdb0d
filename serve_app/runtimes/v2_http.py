"""Another V2 server over HTTP: pooled connections, no redirects, binary tensors where it knows them."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from http.client import HTTPException
from typing import Any

import aiohttp

from serve_app.config import V2Options
from serve_app.errors import TandemError
from serve_app.protocol import client
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferRequest, InferResponse
from serve_app.runtimes.v2_peer import LOOK_S, Asked, Lost, no_v2, refusal, spec, token

_KINDS = {400: "client", 413: "client", 415: "client", 422: "client", 408: "late", 504: "late",
          429: "busy"}  # fmt: skip
_AGAIN = (502, 503)
_NO_ANSWER = (OSError, ValueError, HTTPException, RecursionError, KeyError, TypeError, AttributeError)
_MOST_METADATA = 2**20


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: it is an error like another."""


class HttpPeer:
    """One model of it, at `address`, which may end in a path."""

    def __init__(self, options: V2Options, asked: Asked) -> None:
        self._options, self._asked = options, asked
        self._base = options.address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token(options)}"} if token(options) else {}
        self._open = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({})).open
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._binary = False

    def _path(self, ending: str = "") -> str:
        version = f"/versions/{self._asked.version}" if self._asked.version else ""
        return f"/v2/models/{self._asked.model}{version}{ending}"

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self._base + path, headers=self._headers)  # noqa: S310 - checked
        with self._open(request, timeout=LOOK_S) as answer:
            text = answer.read(_MOST_METADATA)
        return json.loads(text) if text else {}

    def why_not(self) -> str:
        """By its model's ready route."""
        try:
            said = self._get(self._path("/ready"))
        except urllib.error.HTTPError as error:
            error.close()
            return f"its model '{self._asked.model}' is not ready (HTTP {error.code})"
        except (OSError, ValueError, HTTPException, RecursionError) as error:
            return f"it can't be asked: {getattr(error, 'reason', None) or error}"
        ready = said.get("ready", True) if isinstance(said, dict) else True  # KServe's says so in JSON
        return "" if ready else f"its model '{self._asked.model}' is not ready"

    def about(self) -> VersionDescription:
        """Its model's metadata; servers that keep none are asked without."""
        with contextlib.suppress(*_NO_ANSWER):
            self._binary = "binary_tensor_data" in self._get("/v2").get("extensions", ())
        try:
            said = self._get(self._path())
            sides = [[spec(one) for one in said.get(side) or ()] for side in ("inputs", "outputs")]
        except _NO_ANSWER:
            return VersionDescription([], [])
        return VersionDescription(sides[0], sides[1])

    def in_pieces(self) -> bool:
        """Never: V2 over HTTP has one answer."""
        return False

    async def stream(self, request: InferRequest) -> AsyncGenerator[tuple[InferResponse, bool], None]:
        """Of one piece."""
        yield await self.infer(request, None), True

    async def infer(self, request: InferRequest, seconds: float | None) -> InferResponse:
        """One POST. Its connection is closed when nobody waits for the answer any more."""
        request.binary_output = self._binary
        body, length = client.encode_http(request, binary=self._binary)
        try:
            async with self._connected().post(
                self._base + self._path("/infer"), data=body, headers=client.http_headers(length),
                allow_redirects=False, timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=LOOK_S),
            ) as answer:  # fmt: skip
                text, status = await answer.read(), answer.status
                length_of = answer.headers.get(client.LENGTH)
        except aiohttp.ConnectionTimeoutError as error:
            raise Lost(f"can't be reached: {type(error).__name__}") from None
        except TimeoutError:
            raise refusal("late", f"no answer in {seconds or 0:.3g} s", self._asked.model) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"can't be reached: {type(error).__name__}") from None
        if status in _AGAIN:
            raise Lost(f"is unavailable (HTTP {status}): {_said(text)}")
        if status != 200:
            raise refusal(_KINDS.get(status, f"HTTP {status}"), _said(text), self._asked.model)
        try:
            return client.decode_http(text, length_of)
        except TandemError as error:
            raise no_v2(self._asked.model, error) from None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._loop = asyncio.get_running_loop()
            connector = aiohttp.TCPConnector(limit=self._options.connections)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def close(self) -> None:
        session, self._session = self._session, None
        if session is None or self._loop is None or self._loop.is_closed():
            return
        loop = self._loop
        loop.call_soon_threadsafe(lambda: loop.create_task(session.close()))


def _said(body: bytes) -> str:
    """The text of an error, `{"error": …}` as V2 has it or something else."""
    try:
        said = json.loads(body)
        found = next((said[key] for key in ("error", "detail", "message") if said.get(key)), said)
        return found if isinstance(found, str) else json.dumps(found)
    except (ValueError, AttributeError):
        return body[:1000].decode("utf-8", "replace")
