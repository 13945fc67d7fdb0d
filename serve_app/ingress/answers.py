"""Answers in JSON, and errors in the form that readers of a URL's family look for."""

import re
from typing import Any

import orjson

from serve_app.errors import MethodNotAllowed, TandemError, Unauthenticated, UnsupportedCoding
from serve_app.http.asgi import JSON, Send, respond
from serve_app.ingress import openai_answers
from serve_app.ingress.status import http_status, retry_after
from serve_app.protocol.codings import CODINGS

# OpenAI's URLs, also those that aren't served; /v1/models is KServe's as well, and has its form.
_OPENAI = re.compile(r"/openai(?:/.*)?|/v1/(?!models(?:/|$)).+")


def require(wanted: str, method: str) -> None:
    """MethodNotAllowed for another; where GET is, HEAD is."""
    if method != wanted:
        allowed = "GET, HEAD" if wanted == "GET" else wanted
        raise MethodNotAllowed(f"{method} is not allowed here, {wanted} is", allowed)


async def send_json(send: Send, value: Any, status: int = 200) -> int:
    """One value; the status."""
    await respond(send, status, [orjson.dumps(value)], [JSON])
    return status


async def send_error(send: Send, error: TandemError, path: str) -> int:
    """An error below `path`; the status."""
    headers = [JSON]
    if seconds := retry_after(error):
        headers.append((b"retry-after", b"%d" % seconds))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, UnsupportedCoding):
        headers.append((b"accept-encoding", b", ".join(CODINGS)))
    if _OPENAI.fullmatch(path):
        body = openai_answers.form(error)
    else:
        body = {"error": error.message.encode("utf-8", "replace").decode()}
    await respond(send, http_status(error), [orjson.dumps(body)], headers)
    return http_status(error)
