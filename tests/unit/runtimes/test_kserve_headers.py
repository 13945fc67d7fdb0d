"""Headers of an answer, as a class written for KServe sets them."""

import pytest

from serve_app.errors import ModelFailed
from serve_app.runtimes.kserve_api.headers import answer_headers


def test_names_are_lowered_and_values_are_texts():
    found = answer_headers({"X-A": "b", "x-n": 7, "x-e": "café"}, "t")
    assert found == [(b"x-a", b"b"), (b"x-n", b"7"), (b"x-e", "café".encode("latin-1"))]


def test_how_an_answer_is_sent_stays_the_servers():
    assert answer_headers({"Content-Length": "3", "transfer-encoding": "chunked"}, "t") == []
    assert answer_headers({"X-Request-Id": "zzz", "date": "now", "server": "mine"}, "t") == []


def test_none_is_no_header():
    assert answer_headers({"x-a": None, "x-b": ""}, "t") == [(b"x-b", b"")]


def test_there_is_one_of_each_name():
    assert answer_headers({"X-A": "b", "x-a": "c"}, "t") == [(b"x-a", b"c")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "a"), ("a b", "c"), ("é", "c"), ("a:", "c"), ("a", "b\r\nset-cookie: c"), ("a", "雪")],
)
def test_what_http_cant_carry_is_refused(name, value):
    with pytest.raises(ModelFailed, match="transformer 't' set a response header that HTTP can't carry"):
        answer_headers({name: value}, "transformer 't'")


def test_there_is_room_for_so_many():
    answer_headers({"x-a": "b" * 16_000}, "t")
    with pytest.raises(ModelFailed, match="response headers of 20003 bytes; there may be 16384"):
        answer_headers({"x-a": "b" * 20_000}, "t")
