"""The two error tables. A test holds every kind of `errors.py` against both."""

import math

import grpc

from serve_app import errors

HTTP: dict[type[errors.TandemError], int] = {
    errors.InvalidArgument: 400,
    errors.Unauthenticated: 401,
    errors.UnsupportedCoding: 415,
    errors.NotFound: 404,
    errors.UnknownModel: 404,
    errors.VersionGone: 404,
    errors.UnknownRoute: 404,
    errors.MethodNotAllowed: 405,
    errors.TooSlow: 408,
    errors.TooLarge: 413,
    errors.ModelFailed: 500,
    errors.ConfigError: 500,
    errors.Unsupported: 501,
    errors.Unavailable: 503,
    errors.Gone: 503,
    errors.Overloaded: 503,
    errors.DeadlineExceeded: 504,
}

GRPC: dict[type[errors.TandemError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.UnsupportedCoding: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.UnknownModel: grpc.StatusCode.NOT_FOUND,
    errors.VersionGone: grpc.StatusCode.NOT_FOUND,
    errors.UnknownRoute: grpc.StatusCode.NOT_FOUND,
    errors.MethodNotAllowed: grpc.StatusCode.UNIMPLEMENTED,
    errors.TooSlow: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ModelFailed: grpc.StatusCode.INTERNAL,
    errors.ConfigError: grpc.StatusCode.INTERNAL,
    errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Gone: grpc.StatusCode.UNAVAILABLE,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
}

# The codes of the statuses that a user's code may choose and no kind has; others have their kind's.
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ABORTED,
    412: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    416: grpc.StatusCode.OUT_OF_RANGE,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    502: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

# Clients take 8 KiB of headers and trailers in all, and say nothing of an error that has more.
_MOST_IN_TRAILER = 4096


def http_status(error: errors.TandemError) -> int:
    """The status of an error, also of a class of the user's own below a kind."""
    return errors.chosen_status(error) or HTTP[errors.kind_of(error)]


def trailer_text(message: str) -> str:
    """A message cut so that a trailer has room for it, percent-encoded as it goes there."""
    message = message.encode("utf-8", "replace").decode()  # no lone surrogates
    if len(message) * 12 <= _MOST_IN_TRAILER:
        return message
    room = _MOST_IN_TRAILER - 3
    for at, character in enumerate(message):
        plain = " " <= character <= "~" and character != "%"
        room -= 1 if plain else 3 * len(character.encode())
        if room < 0:
            return f"{message[:at]}..."
    return message


def retry_after(error: errors.TandemError) -> int:
    """Whole seconds after which sending it again is right; 0 where that isn't said."""
    seconds = getattr(error, "retry_after", 0.0)
    return max(1, math.ceil(seconds)) if seconds else 0


def retry_metadata(error: errors.TandemError) -> tuple[tuple[str, str], ...]:
    """The same beside a gRPC status, for people and for gRPC's own retries (gRFC A6)."""
    if seconds := retry_after(error):
        return ("retry-after", str(seconds)), ("grpc-retry-pushback-ms", str(seconds * 1000))
    return ()


def grpc_code(error: errors.TandemError) -> grpc.StatusCode:
    """The same, as a gRPC code."""
    return _CODES.get(errors.chosen_status(error)) or GRPC[errors.kind_of(error)]
