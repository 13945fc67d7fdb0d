from urllib.parse import quote

import grpc
import pytest

from serve_app import errors
from serve_app.ingress.status import (
    GRPC,
    HTTP,
    grpc_code,
    http_status,
    retry_after,
    retry_metadata,
    trailer_text,
)


def test_every_kind_is_in_both_tables():
    assert set(HTTP) == set(GRPC) == set(errors.KINDS.values())


def test_a_users_own_class_has_the_status_of_its_kind():
    class BadImage(errors.InvalidArgument):
        pass

    assert (http_status(BadImage("no")), grpc_code(BadImage("no"))) == (
        400, grpc.StatusCode.INVALID_ARGUMENT,
    )  # fmt: skip


def test_a_status_that_was_chosen_goes_before_the_kinds():
    error = errors.InvalidArgument("no")
    error.status = 403
    assert (http_status(error), grpc_code(error)) == (403, grpc.StatusCode.PERMISSION_DENIED)
    error.status = 418  # gRPC has nothing near it
    assert (http_status(error), grpc_code(error)) == (418, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    ("kind", "http", "code"),
    [
        (errors.InvalidArgument, 400, "INVALID_ARGUMENT"), (errors.NotFound, 404, "NOT_FOUND"),
        (errors.MethodNotAllowed, 405, "UNIMPLEMENTED"), (errors.TooLarge, 413, "RESOURCE_EXHAUSTED"),
        (errors.Unsupported, 501, "UNIMPLEMENTED"), (errors.Unavailable, 503, "UNAVAILABLE"),
        (errors.Overloaded, 503, "RESOURCE_EXHAUSTED"),
        (errors.DeadlineExceeded, 504, "DEADLINE_EXCEEDED"),
        (errors.ModelFailed, 500, "INTERNAL"), (errors.ConfigError, 500, "INTERNAL"),
    ],
)  # fmt: skip
def test_what_clients_are_promised(kind, http, code):
    assert (HTTP[kind], GRPC[kind]) == (http, grpc.StatusCode[code])


@pytest.mark.parametrize(("seconds", "said"), [(0.2, 1), (1.0, 1), (1.1, 2), (59.5, 60)])
def test_who_is_refused_for_load_is_told_when_to_come_back(seconds, said):
    class Full(errors.Overloaded):
        retry_after = seconds

    assert retry_after(Full("full")) == said
    assert dict(retry_metadata(Full("full"))) == {
        "retry-after": str(said),
        "grpc-retry-pushback-ms": str(1000 * said),
    }


def test_nobody_else_is():
    for kind in set(errors.KINDS.values()) - {errors.Overloaded}:
        assert retry_after(kind("no")) == 0
        assert retry_metadata(kind("no")) == ()


def test_a_clients_fault_is_never_internal():
    internal = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    for kind, status in HTTP.items():
        if status < 500:
            assert GRPC[kind] not in internal


@pytest.mark.parametrize("text", ["a" * 9000, "é" * 9000, "日" * 9000, "%\n" * 9000, "a\ud800" * 9000])
def test_a_long_message_is_cut_so_that_a_trailer_has_room_for_it(text):
    """Beside everything else: gRPC's clients take 8 KiB of metadata, percent-encoded."""
    cut = trailer_text(text)
    assert cut.endswith("...")
    assert cut[:100] == text[:100].replace("\ud800", "?")
    assert 4000 < len(quote(cut, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~\"")) <= 4096


@pytest.mark.parametrize("text", ["", "no model 'ö', 100 %\n", "a" * 4000, "日" * 400])
def test_others_stay_as_they_are(text):
    assert trailer_text(text) == text
