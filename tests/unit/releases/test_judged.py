"""What a change is answered by: what it asked for."""

from dataclasses import asdict

import pytest

from serve_app.releases.judged import Ack, Failed, partly, unserved

SOME = Failed({"3": "3 is broken", "4": "4 is broken"}, ["1", "2"])
WHOLE = Failed({"": "no folder", "1": "1 is broken"}, ["1"])


@pytest.mark.parametrize(
    ("failed", "verb", "version", "reason"),
    [
        (None, "load", "", ""),
        (SOME, "load", "2", ""),
        (SOME, "load", "3", "3 is broken"),
        (SOME, "load", "", "3 is broken; 4 is broken; served: version 1, 2"),
        (SOME, "unload", "", ""),
        (SOME, "unload", "3", ""),
        (Failed({"1": "1 is broken"}), "load", "", "1 is broken"),
        # It goes on as it was before, which isn't what was asked for.
        (Failed({"1": "1 is broken"}, ["1"]), "load", "", "1 is broken"),
        (WHOLE, "load", "2", "no folder"),
        (WHOLE, "unload", "", "no folder"),
    ],
)
def test_why_it_isnt_served(failed, verb, version, reason):
    assert unserved(failed, verb, version) == reason


def test_what_is_partly_there():
    assert [partly(one) for one in (SOME, WHOLE, Failed({"1": "broken"}))] == [True, False, False]


def test_it_comes_back_from_its_plain_form():
    ack = Ack(3, {"m": SOME}, {"m": "models/m"})
    assert Ack.of(asdict(ack)) == ack
