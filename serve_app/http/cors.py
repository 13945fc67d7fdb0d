"""Cross-origin requests (CORS): which web pages may read answers, as the configuration says."""

from serve_app.config import Cors
from serve_app.http.asgi import Scope

_METHODS = b"GET, HEAD, POST"
Pairs = list[tuple[bytes, bytes]]


def asks(scope: Scope) -> bool:
    """Whether a browser asks what it may send (a preflight)."""
    return scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method") != b""


def allowed(scope: Scope, cors: Cors) -> bool:
    """Whether the request comes from a page that may read its answer, or from none."""
    origin = _header(scope, b"origin").decode("latin-1")
    return not origin or "*" in cors.allow_origins or origin in cors.allow_origins


def headers(scope: Scope, cors: Cors) -> Pairs:
    """What any answer says of it."""
    origin = _header(scope, b"origin")
    anyone = "*" in cors.allow_origins
    found: Pairs = [] if anyone else [(b"vary", b"origin")]  # for caches: others get another answer
    if origin and allowed(scope, cors):
        found.append((b"access-control-allow-origin", b"*" if anyone else origin))
        if cors.allow_credentials:
            found.append((b"access-control-allow-credentials", b"true"))
        if cors.expose_headers and not asks(scope):
            found.append((b"access-control-expose-headers", ", ".join(cors.expose_headers).encode()))
    return found


def preflight(scope: Scope, cors: Cors) -> Pairs:
    """What the answer to a preflight says besides."""
    names = ", ".join(cors.allow_headers).encode()
    if "*" in cors.allow_headers:
        names = _header(scope, b"access-control-request-headers")
    return [
        (b"access-control-allow-methods", _METHODS),
        *([(b"access-control-allow-headers", names)] if names else []),
        (b"access-control-max-age", b"%d" % cors.max_age),
        (b"vary", b"access-control-request-headers"),
    ]


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
