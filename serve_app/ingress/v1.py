"""KServe's V1 over HTTP, plain or in CloudEvents; beside it OpenAI's list of models, at the same URL."""

from collections.abc import Callable
from typing import Any

from serve_app.config import Limits
from serve_app.core.dataplane import DataPlane
from serve_app.core.deadlines import Departures
from serve_app.core.explaining import by_itself
from serve_app.core.graphs.asked import is_graph
from serve_app.core.version import Version
from serve_app.errors import TandemError
from serve_app.http.asgi import (
    JSON,
    Headers,
    Receive,
    Scope,
    Send,
    call_of,
    read_packed,
    respond_packed,
    watched,
)
from serve_app.ingress import openai_answers
from serve_app.ingress.answers import require, send_json
from serve_app.ingress.apart import LARGE, Apart
from serve_app.ingress.graphs import GraphApp
from serve_app.protocol import cloudevents, v1_codec
from serve_app.protocol.explanations import document
from serve_app.protocol.tensors import InferRequest


class V1App:
    """`/v1/models` and what is below it."""

    def __init__(self, plane: DataPlane, limits: Callable[[], Limits], apart: Apart) -> None:
        self.plane, self.limits, self._apart = plane, limits, apart
        self._graphs = GraphApp(plane, limits)
        self._infer_watched = watched(plane.infer, Departures())
        self._explain_watched = watched(plane.explain, Departures())

    async def listed(self, scope: Scope, receive: Receive, send: Send) -> int:
        """KServe's list and OpenAI's at once: neither reader minds the other's keys."""
        about = {"models": list(self.plane.directory.models), **openai_answers.cards(self.plane)}
        return await send_json(send, about)

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, name: str, verb: str | None
    ) -> int:
        """Answer; the status. Raises TandemError and Disconnected."""
        if verb is None:
            require("GET", scope["method"])
            return await self._about(send, name)
        require("POST", scope["method"])
        headers: Headers = dict(scope["headers"])
        try:
            if verb == "explain":
                self.plane.check_explains(name)  # before the body is read
            body, coding = await read_packed(receive, headers, self.limits())
            model = self.plane.directory.model(name)
            bare = call_of(scope, InferRequest(name, "", "", [])) if model.split else None
            picked = model.pick("", bare)
            graph = is_graph(picked) and (verb == "predict" or by_itself(self.plane.directory, picked))
            if picked.cold:
                picked = await self.plane.awake(name, call=bare)
            if coding or len(body) >= LARGE:
                self.plane.check_room(call_of(scope, InferRequest(name, "", "", [])))

            async def decoded(version: Version) -> tuple[InferRequest, Any]:
                most, about = self.limits().max_body_bytes, (headers, name, version.signature)
                return await self._apart.http("v1", body, coding, most, about, len(body))

            if not graph:
                request, (structured, by_row) = await decoded(picked)
                chosen = model.decided(picked, call_of(scope, request)) if model.split else None
                if chosen is not None and chosen.signature != picked.signature:
                    request, (structured, by_row) = await decoded(chosen)
                event = None if structured is None else cloudevents.Form(structured)
        except TandemError as error:
            self.plane.refused(call_of(scope, InferRequest(name, "", "", [])), error)
            raise
        if graph:
            return await self._graphs(scope, receive, send, name, body, coding, verb == "explain")
        call = call_of(scope, request)
        call.version = chosen
        if verb == "explain":
            response = await self._explain_watched(call, receive)
            answer = document(response) or v1_codec.encode_response(response, by_row, "explanations")
        else:
            response, literal = await self._infer_watched(call, receive), picked.signature.literal
            answer = v1_codec.encode_response(response, by_row, literal=literal)
        answer, kind = event.answer(answer, name) if event else (answer, [JSON])
        accept = headers.get(b"accept-encoding")
        await respond_packed(send, [answer], kind, accept, self.limits().min_compress_bytes)
        return 200

    async def _about(self, send: Send, name: str) -> int:
        about = openai_answers.card_of(self.plane, name)
        if about and name not in self.plane.directory.models:
            return await send_json(send, about)  # an adapter, which only OpenAI's clients know
        ready = self.plane.model_ready(name)
        return await send_json(send, about | {"name": name, "ready": ready}, 200 if ready else 503)
