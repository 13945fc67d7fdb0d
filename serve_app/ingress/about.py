"""What the server and its models say of themselves over HTTP."""

from collections.abc import Callable

from serve_app.config import Limits
from serve_app.core.dataplane import DataPlane
from serve_app.errors import InvalidArgument, Unavailable
from serve_app.http.asgi import Receive, Scope, Send, read_body, respond
from serve_app.ingress import openai_answers
from serve_app.ingress.answers import send_json
from serve_app.protocol import elements


class About:
    """`routes`: by path, the method and who answers."""

    def __init__(self, plane: DataPlane, limits: Callable[[], Limits]) -> None:
        self._plane, self._limits = plane, limits
        self.routes = {
            "/": ("GET", self._alive),
            "/v2/health/live": ("GET", self._live),
            "/v2/health/ready": ("GET", self._ready),
            "/v2": ("GET", self._server),
            "/v2/models": ("GET", self._list),
            "/v2/models/stats": ("GET", self._all_stats),
            "/v2/repository/index": ("POST", self._index),
            "/v2/repository/changes": ("GET", self._changes),
            "/openai/v1/models": ("GET", self._openai_list),
        }

    async def model(self, send: Send, name: str, version: str, verb: str | None) -> int:
        """One version of a model: its metadata, or what `verb` asks for."""
        if verb == "ready":
            ready = self._plane.model_ready(name, version)
            about: dict[str, object] = {"name": name, "ready": ready}
            if reason := self._plane.why(name, version):
                about["reason"] = reason
            return await send_json(send, about, 200 if ready else 503)
        if verb == "stats":
            return await send_json(send, {"model_stats": self._plane.statistics(name, version)})
        await self._plane.awake(name, version)
        if verb == "config":
            return await send_json(send, self._plane.model_config(name, version))
        return await send_json(send, self._plane.model_metadata(name, version))

    async def _alive(self, scope: Scope, receive: Receive, send: Send) -> int:
        """As KServe's V1 clients ask for it; a browser is shown what there is."""
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        if b"text/html" not in accept:
            return await send_json(send, {"status": "alive"})
        await respond(send, 302, [], [(b"location", b"/docs"), (b"vary", b"accept")])
        return 302

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await send_json(send, {"live": True})

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> int:
        ready = self._plane.ready
        about: dict[str, object] = {"ready": ready}
        if refused := self._plane.directory.refused:
            about["refused"] = refused
        return await send_json(send, about, 200 if ready else 503)

    async def _server(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await send_json(send, self._plane.server_metadata())

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await send_json(send, {"models": list(self._plane.directory.models)})

    async def _openai_list(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await send_json(send, openai_answers.cards(self._plane))

    async def openai_model(self, send: Send, name: str) -> int:
        """A language model, as OpenAI's clients ask for it."""
        model = self._plane.directory.engine(name)
        if not (about := openai_answers.card_of(self._plane, name)):
            raise Unavailable(f"model '{name}' is not ready: {model.reason}")
        return await send_json(send, about)

    async def _all_stats(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await send_json(send, {"model_stats": self._plane.statistics()})

    async def _changes(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await send_json(send, self._plane.changes())

    async def _index(self, scope: Scope, receive: Receive, send: Send) -> int:
        body = await read_body(receive, dict(scope["headers"]), self._limits())
        wanted = elements.load_json(body) if body else {}
        ready = elements.given(wanted).get("ready", False) if isinstance(wanted, dict) else None
        if not isinstance(ready, bool):
            raise InvalidArgument('the body must be empty or {"ready": true|false}')
        return await send_json(send, self._plane.repository_index(ready))
