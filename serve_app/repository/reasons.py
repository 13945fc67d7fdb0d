"""What failures mean, of stores and of loads: whether another try may help, and what is said of them."""

import errno
from typing import Any

from serve_app.errors import ConfigError, words


class Absent(ConfigError):
    """There is no such thing."""


class Later(ConfigError):
    """It may go well later, although nothing is changed until then."""


class Unreachable(Later):
    """The store says nothing at all, for now."""


class Changed(Later):
    """What is fetched was changed meanwhile."""


class Full(Later):
    """What is to be fetched, or loaded, doesn't fit beside what is in use."""


class GivenUp(ConfigError):
    """Nobody wants the result any more."""

    def __init__(
        self, said: str = "it was given up while it was fetched: it isn't wanted any more"
    ) -> None:
        super().__init__(said)


class Restart(Exception):
    """The store can't go on in the middle of a file: all of it comes again."""


# Names of exceptions, as no library needs to be there.
_NO_CREDENTIALS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
    "DefaultCredentialsError", "ClientAuthenticationError", "ProfileNotFound", "RefreshError",
}  # fmt: skip
_DENIED = {"GatedRepoError", "DisabledRepoError"}
_ABSENT = {
    "RepositoryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError",
    "ResourceNotFoundError", "HFValidationError",
}  # fmt: skip


_CHANGED = {"FileExpired", "ResourceModifiedError"}


def lasting(error: BaseException) -> ConfigError | None:
    """Why another try would be in vain; None where it might not be."""
    names = {kind.__name__ for kind in type(error).__mro__}
    said = first_line(error)
    if names & _NO_CREDENTIALS:
        return ConfigError(f"no credentials that are taken: {said}")
    if names & _DENIED or isinstance(error, PermissionError) or _status(error) in (401, 403):
        return ConfigError(f"no permission: {said}")
    if names & _ABSENT or isinstance(error, FileNotFoundError) or _status(error) in (404, 410):
        return Absent(f"there is no such thing: {said}")
    if names & _CHANGED or _status(error) == 412:
        return Changed(f"it was changed while it was fetched: {said}")
    return None


# Of networks, of file systems that are elsewhere, and of what may become free.
_ERRNOS = {
    errno.EAGAIN, errno.EBUSY, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EDQUOT,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EIO, errno.EMFILE, errno.ENETDOWN, errno.ENETUNREACH,
    errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC, errno.ENOTCONN, errno.EPIPE, errno.ESTALE,
    errno.ETIMEDOUT,
}  # fmt: skip
_FOR_NOW = {
    "ConnectError", "ConnectTimeout", "ConnectionError", "IncompleteRead", "MemoryError", "NetworkError",
    "OutOfMemoryError", "RemoteProtocolError", "Timeout", "TimeoutError", "TimeoutException", "URLError",
    "gaierror",
}  # fmt: skip
_TRY_LATER = {408, 425, 429}  # of HTTP, beside all from 500 on


def passing(error: BaseException | None) -> bool:
    """Whether a load that failed so may go well a little later, although nothing is changed: a store or
    a service couldn't be reached, or there was no room."""
    seen = set[int]()
    while error is not None and id(error) not in seen:  # `raise error from error` is its own cause
        seen.add(id(error))
        if isinstance(error, Absent | GivenUp):
            return False
        if isinstance(error, Later) or _for_now(error):
            return True
        if not isinstance(error, ConfigError) and lasting(error):
            return False
        error = error.__cause__
    return False


def _for_now(error: BaseException) -> bool:
    status = _status(error)
    if status >= 400:
        return status >= 500 or status in _TRY_LATER
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _FOR_NOW) or (isinstance(error, OSError) and error.errno in _ERRNOS)


def _status(error: BaseException) -> int:
    response: Any = getattr(error, "response", None)
    about = response.get("ResponseMetadata") if isinstance(response, dict) else None
    for found in (
        getattr(error, "code", None),
        getattr(error, "status", None),
        getattr(response, "status_code", None),
        about.get("HTTPStatusCode") if isinstance(about, dict) else None,
    ):
        if isinstance(found, int) and 400 <= found < 600:  # else it is a code of something else
            return found
    return 0


def first_line(error: BaseException) -> str:
    """What an exception says, short."""
    said = next((line.strip() for line in words(error).splitlines() if line.strip()), "")
    said = said if len(said) <= 300 else f"{said[:299]}…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
