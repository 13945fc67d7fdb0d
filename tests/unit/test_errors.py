import pickle

import pytest

from serve_app import errors


def kinds(base=errors.TandemError):
    return [kind for sub in base.__subclasses__() for kind in (sub, *kinds(sub))]


OURS = [one for one in kinds() if one.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [errors.TandemError, *OURS])
@pytest.mark.parametrize("message", ["tensor 'x' is missing", "", "ünïcödé\n\ud800"])
def test_errors_cross_actors(kind, message):
    error = kind(message)
    error.__cause__ = ValueError("not for the client")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (str(back), back.message, back.args) == (message, message, (message,))


def test_the_allowed_method_crosses_too():
    assert pickle.loads(pickle.dumps(errors.MethodNotAllowed("no", "GET"))).allowed == "GET"


def test_a_status_that_was_chosen_crosses_too():
    error = errors.ModelFailed("no")
    error.status = 507
    back = errors.copied(pickle.loads(pickle.dumps(error)))
    assert errors.chosen_status(errors.reworded(back, "not", "")) == 507


def test_every_kind_says_what_it_is():
    assert len(kinds()) >= 10
    assert all(kind.__doc__ for kind in kinds())


class BadImage(errors.InvalidArgument):
    """A user's own, with a constructor of its own."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(f"tensor 'image': {width}x{height} is too small")


class TinyImage(BadImage):
    """And one below it."""


class NoKind(errors.TandemError):
    """Of no kind."""


@pytest.mark.parametrize("kind", errors.KINDS.values())
def test_every_kind_is_its_own(kind):
    assert errors.kind_of(kind("no")) is kind
    assert errors.plain(error := kind("no")) is error


def test_all_kinds_are_listed():
    assert set(errors.KINDS.values()) == {one for one in kinds() if one.__module__ == errors.__name__}


@pytest.mark.parametrize("error", [BadImage(1, 2), TinyImage(1, 2)])
def test_a_users_own_class_is_of_the_kind_above_it(error):
    assert errors.kind_of(error) is errors.InvalidArgument
    plain = errors.plain(error)
    assert (type(plain), plain.message) == (
        errors.InvalidArgument, "tensor 'image': 1x2 is too small",
    )  # fmt: skip


class Told(errors.InvalidArgument):
    """Sets what every second class of this kind sets."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message, self.code = message, code
        self.status = code


def test_what_a_users_own_class_calls_status_is_none_of_http():
    error = Told("too dark", 418)
    assert errors.chosen_status(error) == errors.chosen_status(errors.plain(error)) == 0
    for odd in ("403", 200, True, None):
        error = errors.InvalidArgument("no")
        error.status = odd
        assert errors.chosen_status(error) == 0


def test_a_users_own_class_may_have_a_message_attribute():
    error = pickle.loads(pickle.dumps(errors.plain(Told("too dark", 3))))
    assert (type(error), error.message) == (errors.InvalidArgument, "too dark")


def test_what_is_of_no_kind_is_the_models_failure():
    assert errors.kind_of(NoKind("no")) is errors.ModelFailed
    assert errors.kind_of(errors.TandemError("no")) is errors.ModelFailed


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), ("é", '"é"'), ([1, None], "[1, null]"), (float("nan"), "NaN"),
     (b"x", "\"b'x'\""), ("y" * 200, '"' + "y" * 78 + "…")],
)  # fmt: skip
def test_a_value_is_shown_as_the_caller_wrote_it(value, text):
    assert errors.shown(value) == text
