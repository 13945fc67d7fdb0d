"""Which failures of a load may be over by themselves."""

import errno
import socket
import urllib.error

import pytest

from serve_app.errors import ConfigError
from serve_app.repository.reasons import (
    Absent,
    Changed,
    Full,
    GivenUp,
    Later,
    Unreachable,
    first_line,
    lasting,
    passing,
)


class Answered(Exception):
    """As clients of HTTP raise it."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def of(cause: BaseException, kind: type[Exception] = ConfigError) -> Exception:
    """An error of ours, or of a user's class, that came from another one."""
    error = kind("model 'm' version 1: it can't be loaded")
    error.__cause__ = cause
    return error


OUT_OF_MEMORY = type("OutOfMemoryError", (RuntimeError,), {})  # as PyTorch names it


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("its store can't be asked"), Changed("it was changed meanwhile"), Full("no room"),
        Later("another server isn't ready"), of(Unreachable("no")), of(Full("no")),
        ConnectionRefusedError(), TimeoutError(),
        socket.gaierror(-3, "Temporary failure in name resolution"),
        urllib.error.URLError("unreachable"), urllib.error.HTTPError("u", 503, "m", None, None),  # type: ignore[arg-type]
        Answered(500), Answered(429), of(Answered(503)), MemoryError(),
        OUT_OF_MEMORY("CUDA out of memory"),
        OSError(errno.ENOSPC, "No space left on device"), OSError(errno.ESTALE, "Stale file handle"),
        of(OSError(errno.EIO, "Input/output error")), of(ConnectionResetError(), RuntimeError),
        of(of(TimeoutError(), RuntimeError)),
    ],
    ids=repr,
)  # fmt: skip
def test_what_may_go_well_later(error):
    assert passing(error)


@pytest.mark.parametrize(
    "error",
    [
        None, ConfigError("no such key"), Absent("there is no such thing"), GivenUp(),
        ValueError("no model"),
        of(ValueError("not a protobuf")), FileNotFoundError(2, "no such file"), of(FileNotFoundError()),
        PermissionError(13, "Permission denied"), of(PermissionError()), Answered(404), Answered(403),
        Answered(400), urllib.error.HTTPError("u", 404, "m", None, None), RuntimeError("a broken file"),  # type: ignore[arg-type]
        of(of(KeyError("weights"), RuntimeError)), ImportError("no module"), SystemExit(3),
        of(Absent("no such version")),
    ],
    ids=repr,
)  # fmt: skip
def test_what_lasts(error):
    assert not passing(error)


def test_what_a_store_says_is_lasting_isnt_tried_again():
    for error in (PermissionError("Access Denied"), FileNotFoundError("gone"), Answered(401)):
        why = lasting(error)
        assert why is not None
        assert not passing(why)


def test_an_error_that_is_its_own_cause_ends():
    def raised() -> Exception:
        try:
            try:
                raise ValueError("broken")
            except ValueError as error:
                raise error from error
        except ValueError as error:
            return error

    assert not passing(raised())
    first, second = ValueError("one"), ValueError("two")
    first.__cause__, second.__cause__ = second, first
    assert not passing(first)


class Odd(Exception):
    """As users' classes raise them."""

    response = {"ResponseMetadata": None}  # noqa: RUF012

    def __str__(self) -> str:
        return None  # type: ignore[return-value]


def test_errors_that_cant_say_what_they_are():
    assert not passing(Odd())
    assert first_line(Odd()) == "Odd"


@pytest.mark.parametrize(("code", "again"), [(503, True), (1045, False), (-5, False), (0, False)])
def test_a_code_that_is_no_status_of_http(code, again):
    class Numbered(Exception):
        pass

    error = Numbered("access denied")
    error.code = code
    assert passing(error) is again
