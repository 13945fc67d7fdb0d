"""The `send` of one request: headers that every answer has, and HEAD, which is GET without a body."""

import re

from serve_app.core.call import new_id
from serve_app.http.asgi import Message, Scope, Send

REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[!-~]{1,128}")


def request_id(scope: Scope) -> str:
    """What the client calls its request (X-Request-Id), else a new id.

    One that is longer than 128 characters, or has others than visible ASCII, is none: it would go
    into logs and headers.
    """
    sent = next((value for name, value in scope["headers"] if name == REQUEST_ID), b"")
    return sent.decode() if _ID.fullmatch(sent) else new_id()


class Outgoing:
    """Adds `headers` to the answer, and leaves the body out of it when it is `bodiless`."""

    __slots__ = ("bodiless", "headers", "inner")

    def __init__(self, inner: Send, bodiless: bool) -> None:
        self.inner, self.bodiless = inner, bodiless
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *self.headers]}
        elif self.bodiless:
            message = {**message, "body": b""}
        await self.inner(message)
