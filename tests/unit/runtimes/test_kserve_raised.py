"""What clients are told of exceptions whose classes are odd."""

import pytest
from starlette.exceptions import HTTPException

from serve_app.errors import InvalidArgument
from serve_app.runtimes.kserve_api.raised import meant


def deep(levels):
    found = []
    for _ in range(levels):
        found = [found]
    return found


class Bare(HTTPException):
    def __init__(self):
        pass


class Nameless(Exception):
    pass


Nameless.__module__ = None


def test_a_detail_that_is_no_json_is_still_the_clients_fault():
    for detail in (deep(100_000), object(), "\ud800"):
        found = meant(HTTPException(400, detail), "it")
        assert isinstance(found, InvalidArgument)
        assert found.status == 400


@pytest.mark.parametrize("error", [Bare(), Nameless("no")], ids=["bare", "nameless"])
def test_what_cant_be_asked_what_it_means_means_nothing(error):
    assert meant(error, "it") is None
