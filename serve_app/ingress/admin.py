"""The repository API's changes, over HTTP and gRPC: load and unload, by Triton's forms, for who has the
token; a registry's webhook; and who did what."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

from serve_app.config import Admin, Limits, did_you_mean
from serve_app.core.call import Headers, address_of
from serve_app.errors import (
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    TandemError,
    Unauthenticated,
    Unsupported,
    shown,
)
from serve_app.http.asgi import JSON, Receive, Scope, Send, read_body, respond
from serve_app.ingress.answers import require, send_json
from serve_app.ingress.secrets import check_signature, check_token
from serve_app.observability.logs import LINES, cut
from serve_app.protocol import elements
from serve_app.releases.asked import Asked, Verb, asked
from serve_app.releases.registry import model_of

log = logging.getLogger("tandem")

OFF = (
    "this service takes no load and unload, and shows no shadows: its config has no `admin` (args of "
    "the Router's application; docs/releases.md). Models are changed by deploying a changed config"
)
_ROLLS = ("start", "pause", "resume", "abort", "promote")
_EACH_S = 1.0  # at most so often a refusal is written down
_ENVELOPE = 2**20  # bytes around the files of a load
_ON_MODEL = "load|unload|traffic|rollout|shadow"
ROUTE = re.compile(rf"/v2/repository/(?:models/([^/]+)/({_ON_MODEL})|(audit|webhook))")


class Applies(Protocol):
    """Who makes changes: serve_app.deployments.changing."""

    def known(self, model: str) -> bool:
        """Whether there is a model of that name, loaded or not."""
        ...

    async def audit(self) -> Mapping[str, Any]:
        """What was done, and what this Router serves of it."""
        ...

    async def shadowed(self, model: str) -> Mapping[str, Any]:
        """What came of the copies of its requests; NotFound."""
        ...

    async def apply(self, asked: Asked, by: str) -> None:
        """Returns when it is served; TandemError."""
        ...

    def traffic(self, model: str) -> Mapping[str, Any]:
        """How its requests are shared among its versions; NotFound."""
        ...

    async def direct(self, model: str, traffic: object, by: str) -> None:
        """Share them so, None for as the configuration has it; else as `apply`."""
        ...

    async def rollout(self, model: str) -> Mapping[str, Any]:
        """Its last rollout, for people; NotFound."""
        ...

    async def roll(self, model: str, verb: str, said: object, by: str) -> None:
        """Start a rollout, or pause, resume, abort, promote it."""
        ...

    async def refused(self, line: Mapping[str, Any]) -> None:
        """Keep a refusal."""
        ...


class AdminApp:
    """Of one Router."""

    def __init__(self, admin: Admin, changes: Applies, limits: Callable[[], Limits]) -> None:
        self._admin, self._changes, self._limits = admin, changes, limits
        self._said, self._unsaid = 0.0, 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def most(self) -> int:
        """Bytes of a message of gRPC's load."""
        return self._admin.max_upload_bytes + _ENVELOPE

    async def http(self, scope: Scope, receive: Receive, send: Send, match: re.Match[str]) -> int:
        """Answer what ROUTE matched; the status."""
        model, other = match[1], match[3] or match[2]
        headers = Headers(scope["headers"])
        if other == "traffic":
            return await self._traffic(scope, receive, send, unquote(model), headers)
        if match[2] == "rollout":
            return await self._rollout(scope, receive, send, unquote(model), headers)
        require("GET" if other in ("audit", "shadow") else "POST", scope["method"])
        if other == "webhook":
            return await self._webhook(scope, receive, send, headers)
        if other == "audit":
            self.admit("audit", "", headers)
            return await send_json(send, await self._changes.audit())
        if other == "shadow":
            self.admit("shadow", unquote(model), headers)
            return await send_json(send, await self._changes.shadowed(unquote(model)))
        model, verb = unquote(model), _verb(match[2])
        self.admit(verb, model, headers)
        # Files come in base64.
        most = self._admin.max_upload_bytes * 4 // 3 + _ENVELOPE
        bounds = self._limits().model_copy(update={"max_body_bytes": most})
        body = await read_body(receive, dict(scope["headers"]), bounds)
        given = await asyncio.to_thread(_parameters, body)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        for name in query.keys() & {"version"}:  # clients that can't give parameters can give these
            given.setdefault(name, query[name][-1])
        await self._apply(verb, model, given, headers)
        await respond(send, 200, [], [JSON])
        return 200

    async def _traffic(
        self, scope: Scope, receive: Receive, send: Send, model: str, headers: Headers
    ) -> int:
        method = scope["method"]
        self.admit("traffic", model, headers)
        if method in ("POST", "DELETE"):
            said = None
            if method == "POST":
                body = await read_body(receive, dict(scope["headers"]), self._limits())
                said = elements.load_json(body)
            changes = self._changes.direct(model, said, _who(headers))
            await self._seen(changes, "traffic", model, headers)
        elif method != "GET":
            raise MethodNotAllowed(f"{method} is not allowed here", "GET, HEAD, POST, DELETE")
        return await send_json(send, self._changes.traffic(model))

    async def _rollout(
        self, scope: Scope, receive: Receive, send: Send, model: str, headers: Headers
    ) -> int:
        self.admit("rollout", model, headers)
        if scope["method"] == "POST":
            body = await read_body(receive, dict(scope["headers"]), self._limits())
            verb, said = _rolled(elements.load_json(body))
            changes = self._changes.roll(model, verb, said, _who(headers))
            await self._seen(changes, f"rollout {verb}", model, headers)
        elif scope["method"] != "GET":
            raise MethodNotAllowed(f"{scope['method']} is not allowed here", "GET, HEAD, POST")
        return await send_json(send, await self._changes.rollout(model))

    async def grpc(self, verb: Verb, model: str, parameters: Any, headers: Headers) -> None:
        """What a message asks for, after `admit`."""
        given = {
            name: getattr(one, one.WhichOneof("parameter_choice") or "string_param")
            for name, one in parameters.items()
        }
        await self._apply(verb, model, given, headers)

    def admit(self, verb: str, model: str, headers: Headers) -> None:
        """Unauthenticated for who hasn't the token, which is written down."""
        self._guarded(lambda: check_token(self._admin, headers), verb, model, headers)

    async def _apply(self, verb: Verb, model: str, given: Mapping[str, Any], headers: Headers) -> None:
        async def applied() -> None:
            most = self._admin.max_upload_bytes
            wanted = await asyncio.to_thread(asked, verb, model, given, most)
            await self._changes.apply(wanted, _who(headers))

        await self._seen(applied(), verb, model, headers)

    async def _seen(
        self, change: Coroutine[Any, Any, None], verb: str, model: str, headers: Headers
    ) -> None:
        """To its end, though the client leaves: what it began is under way."""
        try:
            await asyncio.shield(self._spawn(change))
        except TandemError as error:
            if not error.audited:
                self._write(verb, model, headers, error)
            raise

    async def _webhook(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> int:
        webhook = self._admin.webhook
        if webhook is None:
            raise Unsupported("webhooks are off: the configuration has no `admin.webhook`")
        if not (signed := headers.get("x-mlflow-signature")):
            self.admit("webhook", "", headers)
        body = await read_body(receive, dict(scope["headers"]), self._limits())
        if signed:
            self._guarded(lambda: check_signature(webhook, headers, body), "webhook", "", headers)
        said = model_of(elements.load_json(body))
        if said is None:  # an event of another kind: right, and nothing to do
            return await send_json(send, {"model": None})
        model = webhook.models.get(said, said)
        if not self._changes.known(model):
            raise NotFound(f"no model '{cut(model)}' (admin.webhook.models says which one is meant)")
        by = f"webhook {_who(headers)}".strip()
        self._spawn(self._changes.apply(Asked("load", model), by)).add_done_callback(_ended)
        return await send_json(send, {"model": model}, 202)  # who calls doesn't wait for a model

    def _guarded(self, check: Callable[[], None], verb: str, model: str, headers: Headers) -> None:
        try:
            check()
        except (Unauthenticated, Unsupported) as error:
            self._write(verb, model, headers, error)
            raise

    def _write(self, verb: str, model: str, headers: Headers, error: TandemError) -> None:
        """To the log and the audit: not more of them than fit beside what matters."""
        now = time.monotonic()
        if now - self._said < _EACH_S:
            self._unsaid += 1
            return
        line = {
            "time": round(time.time(), 3), "verb": verb, "model": cut(model), "by": _who(headers),
            "outcome": f"refused: {error.message}"[:500],
        }  # fmt: skip
        if self._unsaid:
            line["more"] = self._unsaid
        self._said, self._unsaid = now, 0
        LINES.write({"event": "audit", **line})
        self._spawn(self._changes.refused(line))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _verb(word: str) -> Verb:
    return "load" if word == "load" else "unload"


def _who(headers: Headers) -> str:
    """As far as that is known: whoever has the token."""
    return cut(address_of(headers))


def _rolled(said: object) -> tuple[str, object]:
    if not isinstance(said, dict):
        raise InvalidArgument('expected {"verb": …} and, to start one, {"rollout": {…}} beside it')
    if unknown := said.keys() - {"verb", "rollout"}:
        key = min(unknown)
        raise InvalidArgument(f"unknown key {shown(key)}{did_you_mean(str(key), ('verb', 'rollout'))}")
    verb = said.get("verb")
    if not isinstance(verb, str) or verb not in _ROLLS:
        close = did_you_mean(str(verb), _ROLLS)
        raise InvalidArgument(f"verb: expected one of {', '.join(_ROLLS)}, got {shown(verb)}{close}")
    if verb != "start" and said.get("rollout") is not None:
        raise InvalidArgument(f"rollout: {verb} takes none")
    return verb, said.get("rollout")


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.warning("what a webhook asked for isn't served: %s", error)


def _parameters(body: bytes) -> dict[str, Any]:
    found = elements.load_json(body) if body.strip() else {}
    parameters = found.get("parameters") if isinstance(found, dict) else found
    if parameters is None:
        return {}
    if not isinstance(parameters, dict) or not isinstance(found, dict):
        raise InvalidArgument('the body must be empty or {"parameters": {…}}')
    return parameters
