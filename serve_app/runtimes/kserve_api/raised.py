"""What a class raises on purpose, as KServe's server answers it."""

import json
import sys
from typing import Any

from serve_app.errors import (
    InvalidArgument,
    ModelFailed,
    NotFound,
    TandemError,
    Unavailable,
    Unsupported,
    words,
)

# Those of the package `kserve`, and of what stands in for it.
OURS = ("serve_app.runtimes.kserve_api.", "kserve.")
_KINDS: dict[str, type[TandemError]] = {
    "InvalidInput": InvalidArgument,
    "ModelNotFound": NotFound,
    "ModelNotReady": Unavailable,
    "ServerNotLive": Unavailable,
    "ServerNotReady": Unavailable,
    "UnsupportedProtocol": Unsupported,
}
_OF_STATUS = {404: NotFound, 501: Unsupported, 503: Unavailable}


def meant(error: BaseException, what: str) -> TandemError | None:
    """What clients are told of an exception; None for one that nobody meant for them. `what`: where it
    was raised, said where its own words aren't for clients.
    """
    try:
        return _meant(error, what)
    except Exception:  # one whose class is odd
        return None


def _meant(error: BaseException, what: str) -> TandemError | None:
    if isinstance(error, _http_exception()):
        return _of_status(error)
    for one in type(error).__mro__:
        if str(one.__module__).startswith(OURS) and (kind := _KINDS.get(one.__name__)):
            return kind(words(error) or one.__name__)
    if isinstance(error, NotImplementedError):
        return Unsupported(f"{what} {type(error).__name__}")
    return None


def _http_exception() -> Any:
    """Starlette's class, above FastAPI's. Where nobody imported it, nobody raises it."""
    return getattr(sys.modules.get("starlette.exceptions"), "HTTPException", ())


def _of_status(error: Any) -> TandemError | None:
    status = error.status_code
    if not isinstance(status, int) or not 400 <= status <= 599:
        return None  # no error
    kind = _OF_STATUS.get(status, InvalidArgument if status < 500 else ModelFailed)
    found: TandemError = kind(_text(error.detail) or f"HTTP {int(status)}")
    found.status = int(status)
    return found


def _text(detail: Any) -> str:
    """FastAPI takes any JSON for it."""
    if isinstance(detail, str):
        return detail
    try:
        return json.dumps(detail, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return words(detail)
