"""Every error that Tandem raises on purpose. Knows no HTTP, gRPC or Ray.

`ingress/status.py` maps each kind to an HTTP status and a gRPC code, once.
Messages are written for the caller: they name the field, what was expected and what came.
A class of one's own below a kind is treated as that kind everywhere (`kind_of`).
"""

import itertools
import json
from functools import cached_property

from serve_app.redact import redacted

_MOST_SHOWN, _MOST_SAID = 80, 2000  # characters

# Why a model isn't loaded that will be as soon as it is asked for: nothing is wrong with it.
NOT_HERE = "it isn't in memory: a request loads it"


class TandemError(Exception):
    """Base of all kinds. `str(error)` is safe to show to a client. `audited`: it stands in the audit.
    `status`: that of HTTP which a user's code chose, 4xx or 5xx; 0 for the kind's.
    """

    audited = False
    status = 0

    @cached_property  # not a property: a class below may set its own
    def message(self) -> str:
        """The same, also of a class below that has a constructor of its own; without credentials."""
        return redacted(str(self))


class InvalidArgument(TandemError):
    """The request is wrong and will stay wrong when sent again."""


class NotFound(TandemError):
    """No such route, model or version."""


class UnknownModel(NotFound):
    """No language model or adapter of the name that a client of OpenAI's protocol gave."""


class VersionGone(NotFound):
    """Who was to answer doesn't have the version any more: choose again."""


class UnknownRoute(NotFound):
    """No such URL, whatever models there are."""


class UnsupportedCoding(InvalidArgument):
    """The body is compressed in a way that isn't known here."""


class MethodNotAllowed(TandemError):
    """The route exists, but for another HTTP method (`allowed`)."""

    def __init__(self, message: str, allowed: str = "") -> None:
        super().__init__(message)
        self.allowed = allowed


class Unauthenticated(TandemError):
    """Who asks didn't show that they may."""


class TooLarge(TandemError):
    """The body is larger than the configured limit."""


class TooSlow(TandemError):
    """The request itself took too long to come."""


class Unsupported(TandemError):
    """A known part of the protocol that this server doesn't implement."""


class Unavailable(TandemError):
    """The model exists but can't answer now (loading, failed to load, its replicas are gone).

    `retry_after`: seconds after which it may, where that is known.
    """

    retry_after = 0.0


class Gone(Unavailable):
    """All that was to answer is gone: choose again."""


class Overloaded(TandemError):
    """Too many requests are waiting; sending again later is right, in `retry_after` seconds."""

    retry_after = 1.0


class DeadlineExceeded(TandemError):
    """No answer within the time limit."""


class ModelFailed(TandemError):
    """The model's own code raised, or it answered something that isn't what it declared.

    `said`: the words of what was raised. They may hold anything, and are the log's; clients see them
    where the configuration says so (`exceptionTexts`). `logged`: whether the log of this process has
    it, with what it came from.
    """

    said = ""
    logged = False

    @property
    def whole(self) -> str:
        """The message and those words."""
        return f"{self}: {self.said}" if self.said else str(self)


class ConfigError(TandemError):
    """The configuration contradicts itself or names something that doesn't exist."""


KINDS: dict[str, type[TandemError]] = {
    kind.__name__: kind
    for kind in (
        InvalidArgument, UnsupportedCoding, NotFound, UnknownModel, VersionGone, UnknownRoute,
        MethodNotAllowed, Unauthenticated, TooLarge, TooSlow, Unsupported, Unavailable, Gone, Overloaded,
        DeadlineExceeded, ModelFailed, ConfigError,
    )
}  # fmt: skip


def shown(value: object) -> str:
    """A caller's value in an error's text, as JSON writes it; a long one is cut."""
    text = json.dumps(_cut(value, 4), ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _cut(value: object, levels: int) -> object:
    """Its beginning, without the rest being looked at, which may be large."""
    if isinstance(value, str | bytes):
        return value[:_MOST_SHOWN]
    if isinstance(value, dict):
        some = itertools.islice(value.items(), 20) if levels else ()
        return {str(key)[:_MOST_SHOWN]: _cut(one, levels - 1) for key, one in some}
    if isinstance(value, list | tuple):
        return [_cut(one, levels - 1) for one in (value[:20] if levels else ())]
    if isinstance(value, int) and abs(value) >= 2**64:
        return "a number of many digits"
    return value


def plain(error: TandemError) -> TandemError:
    """The error as its kind: a user's own class may not exist, or not unpickle, in another process."""
    return error if KINDS.get(type(error).__name__) is type(error) else copied(error)


def copied(error: TandemError) -> TandemError:
    """Another one of the same kind, which says the same."""
    made = kind_of(error)(str(error))
    made.status = chosen_status(error)
    if isinstance(made, ModelFailed):
        made.said = getattr(error, "said", "")
    return made


def chosen_status(error: TandemError) -> int:
    """Its `status`, if it is one: in a class of the user's own the attribute may mean anything."""
    status, ours = error.status, KINDS.get(type(error).__name__) is type(error)
    return status if ours and type(status) is int and 400 <= status <= 599 else 0


def reworded(error: ModelFailed, text: str, said: str) -> ModelFailed:
    """The same failure with another message."""
    found = ModelFailed(text)
    found.said, found.logged, found.status = said, error.logged, chosen_status(error)
    return found


def raised(what: str, error: BaseException) -> ModelFailed:
    """`what`, with the kind of a user's exception; its words, if it has some to give, apart."""
    found = ModelFailed(f"{what} {type(error).__name__}")
    found.said = words(error)[:_MOST_SAID]
    return found


def words(error: object) -> str:
    """What an exception says, as text that can be sent and written; '' where it can't say it.

    Its `__str__` is a user's code, and text from file names may hold halves of surrogate pairs.
    """
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except BaseException:
        return ""


def kind_of(error: TandemError) -> type[TandemError]:
    """The kind of an error, the nearest above its class; of the base alone, ModelFailed."""
    return next((one for one in type(error).__mro__ if KINDS.get(one.__name__) is one), ModelFailed)
