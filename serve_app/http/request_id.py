"""What a client calls its request: X-Request-Id."""

import re

from serve_app.http.asgi import Scope

REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[!-~]{1,128}")


def request_id(scope: Scope) -> str:
    """What the client calls its request; '' for nothing.

    One that is longer than 128 characters, or has others than visible ASCII, is none: it would go
    into logs and headers.
    """
    for name, value in scope["headers"]:
        if name == REQUEST_ID:
            return value.decode() if _ID.fullmatch(value) else ""
    return ""
