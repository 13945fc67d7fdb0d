"""Secrets that callers have to know: from the environment or a file, compared in constant time."""

import base64
import hashlib
import hmac
import os
import time
from pathlib import Path

from serve_app.config import Admin, Webhook
from serve_app.core.call import Headers
from serve_app.errors import Unauthenticated, Unsupported

_TRITONS = "triton-grpc-protocol-"
_FRESH_S = 300  # how old a signed call may be, as MLflow's own check has it
_LEAST = 16  # characters, so that nobody guesses it


def secret(file: str | None, variable: str) -> bytes:
    """As it stands there now; b'' where there is none. Files of mounted secrets change."""
    if file is None:
        return os.environ.get(variable, "").strip().encode()
    try:
        return Path(file).read_bytes().strip()
    except OSError:
        return b""


def check_token(admin: Admin, headers: Headers) -> None:
    """Unauthenticated without the token; Unsupported while the service itself has none."""
    wanted = secret(admin.token_file, admin.token_variable)
    if len(wanted) < _LEAST:
        where = admin.token_file or f"the variable {admin.token_variable}"
        raise Unsupported(f"admin is on, and {where} has no token of at least {_LEAST} characters")
    given = [headers.get(admin.header), headers.get(_TRITONS + admin.header)]
    scheme, _, bearer = headers.get("authorization").partition(" ")
    if scheme.lower() == "bearer":
        given.append(bearer.strip())
    # Each is compared, and whole digests: what takes time tells nothing of the token.
    if not any([_same(one.encode("utf-8", "replace"), wanted) for one in given]):  # noqa: C419
        kind = "the token is wrong" if any(given) else "a token is needed"
        raise Unauthenticated(f"{kind}: as a Bearer in Authorization, or in {admin.header}")


def check_signature(webhook: Webhook, headers: Headers, body: bytes) -> None:
    """Unauthenticated unless MLflow signed this body, a moment ago, with the secret."""
    wanted = secret(webhook.secret_file, webhook.secret_variable)
    if len(wanted) < _LEAST:
        where = webhook.secret_file or f"the variable {webhook.secret_variable}"
        raise Unsupported(f"{where} has no secret of at least {_LEAST} characters")
    id, moment = headers.get("x-mlflow-delivery-id"), headers.get("x-mlflow-timestamp")
    signed = hmac.new(wanted, f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(signed)
    given = headers.get("x-mlflow-signature").encode("utf-8", "replace")
    if not _same(given, expected):
        raise Unauthenticated("X-MLflow-Signature isn't this body's")
    whole = moment.isdecimal() and len(moment) < 19
    if not whole or abs(time.time() - int(moment)) > _FRESH_S:
        raise Unauthenticated(f"X-MLflow-Timestamp is more than {_FRESH_S} s away from now")


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(hashlib.sha256(one).digest(), hashlib.sha256(other).digest())
