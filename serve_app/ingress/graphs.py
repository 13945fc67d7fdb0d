"""V1 to graphs: JSON documents in and out, as KServe's router takes and gives them."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from serve_app.config import Limits
from serve_app.core.dataplane import DataPlane
from serve_app.core.deadlines import Departures
from serve_app.core.graphs.aside import MOST
from serve_app.core.graphs.documents import DocumentRequest
from serve_app.errors import ModelFailed, TandemError, TooLarge
from serve_app.http.asgi import JSON, Headers, Receive, Scope, Send, call_of, respond_packed, watched
from serve_app.ingress.answers import send_json
from serve_app.ingress.apart import LARGE
from serve_app.ingress.status import http_status
from serve_app.protocol import cloudevents, elements
from serve_app.protocol.codings import unpacked
from serve_app.protocol.tensors import InferRequest
from serve_app.routing.graph import FAILED, Failed, NoRoute


class GraphApp:
    """`/v1/models/NAME:predict` of a graph; `:explain` of one that does that itself."""

    def __init__(self, plane: DataPlane, limits: Callable[[], Limits]) -> None:
        self.plane, self.limits = plane, limits
        self._infer_watched = watched(plane.infer, Departures())
        self._explain_watched = watched(plane.explain, Departures())

    async def __call__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        name: str,
        body: bytes,
        coding: bytes,
        why: bool = False,
    ) -> int:
        """Answer; the status. Raises TandemError and Disconnected. `why`: an explanation."""
        headers: Headers = dict(scope["headers"])
        try:
            if coding:
                body = await unpacked(body, coding, self.limits().max_body_bytes)
            if len(body) > MOST:
                raise TooLarge(
                    f"the body has {len(body)} bytes, and a graph takes V1 of at most {MOST}: send V2, "
                    "best with binary tensors"
                )
            form, message = cloudevents.received(headers, elements.load_json(body))
        except TandemError as error:
            self.plane.refused(call_of(scope, InferRequest(name, "", "", [])), error)
            raise
        request = DocumentRequest(name, "", "", [], document=message, large=len(body) >= LARGE)
        call = call_of(scope, request)
        try:
            asked = self._explain_watched if why else self._infer_watched
            await asked(call, receive)
        except TandemError as error:
            cause = error.__cause__ if isinstance(error.__cause__, Failed) else error
            if isinstance(cause, Failed | NoRoute):  # KServe's router says it in these two words
                said = {"error": FAILED, "cause": cause.cause}
                return await send_json(send, said, http_status(cause))
            raise
        answer, kind = encoded(request.answer), [JSON]
        if form is not None:
            answer, kind = form.answer(answer, name)
        accept, least = headers.get(b"accept-encoding"), self.limits().min_compress_bytes
        await respond_packed(send, [answer], kind, accept, least, call.answer_headers)
        return 200


def encoded(document: Any) -> bytes:
    """NaN and Infinity as V2 writes them, which orjson calls null; arrays of a user's class as lists."""
    try:
        text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
        return json.dumps(document, default=_plain).encode() if b"null" in text else text
    except TypeError as error:
        raise ModelFailed(f"what was answered is no JSON: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")
