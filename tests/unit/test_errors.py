import pickle

import pytest

from serve_app import errors


def kinds(base=errors.TandemError):
    return [kind for sub in base.__subclasses__() for kind in (sub, *kinds(sub))]


@pytest.mark.parametrize("kind", [errors.TandemError, *kinds()])
@pytest.mark.parametrize("message", ["tensor 'x' is missing", "", "ünïcödé\n\ud800"])
def test_errors_cross_actors(kind, message):
    error = kind(message)
    error.__cause__ = ValueError("not for the client")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (str(back), back.message, back.args) == (message, message, (message,))


def test_the_allowed_method_crosses_too():
    assert pickle.loads(pickle.dumps(errors.MethodNotAllowed("no", "GET"))).allowed == "GET"


def test_every_kind_says_what_it_is():
    assert len(kinds()) >= 10
    assert all(kind.__doc__ for kind in kinds())
