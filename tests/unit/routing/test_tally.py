"""Counts, their interval, and several Routers' together."""

import json
import math

import pytest
from scipy.stats import binomtest

from serve_app.routing.comparing import Compared, Difference, failures
from serve_app.routing.tally import Pair, summed, wilson
from serve_app.routing.texts import Texts

SAME = Compared()
VALUE = Compared((Difference("y", "value", "1 of 2", 0.5), Difference("z", "text", "1 of 1", 1.0)))


@pytest.mark.parametrize(
    ("count", "of"), [(0, 10), (1, 10), (5, 10), (10, 10), (5, 1000), (1, 10**6), (0, 1)]
)
def test_wilsons_interval_is_scipys(count: int, of: int) -> None:
    theirs = binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert wilson(count, of) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_nothing_is_known_of_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def pair(*found: Compared) -> Pair:
    made = Pair("1", "2")
    for one in found:
        made.count(one, (0.25, 0.5))
    return made


def test_what_is_counted() -> None:
    plain = pair(SAME, VALUE, failures("", "ModelFailed"), SAME).plain
    assert (plain["compared"], plain["differed"], plain["share"]) == (4, 2, 0.5)
    assert plain["kinds"] == {"value": 1, "text": 1, "error": 1}
    assert plain["errors"] == {"copy": 1}
    assert plain["outputs"]["y"] == {"differed": 1, "worst": 0.5}
    assert plain["seconds"] == [1.0, 2.0]
    assert plain["interval"]["method"] == "Wilson"
    assert "agreement" not in plain


def test_what_texts_add() -> None:
    plain = pair(Compared(texts=Texts(3, 4, 3, 4)), Compared(texts=Texts(0, 4, 4, 2))).plain
    assert plain["agreement"] == {"answers": 2, "tokens": 3 / 8, "length": [7, 6]}


def test_json_has_no_infinity() -> None:
    plain = pair(Compared((Difference("y", "value", "", math.inf),))).plain
    assert json.loads(json.dumps(plain, allow_nan=False))["outputs"]["y"]["worst"] is None


def test_outputs_that_are_made_up_take_no_memory() -> None:
    made = pair(*(Compared((Difference(f"y{n}", "output", ""),)) for n in range(500)))
    assert len(made.outputs) == 64
    assert made.differed == 500


def router(copied: int, dropped: dict[str, int], *pairs: Pair) -> dict[str, object]:
    plain = [one.plain for one in pairs]
    return {"copied": copied, "waiting": 1, "dropped": dropped, "pairs": plain}


def test_several_routers_are_added_up() -> None:
    one, other = pair(SAME, VALUE), pair(SAME, SAME, Compared((Difference("y", "value", "", 2.0),)))
    one.examples.append({"time": 5.0, "id": "b"})
    other.examples += [{"time": 4.0, "id": "a"}, {"time": 6.0, "id": "c"}]
    another = Pair("3", "2")
    another.count(SAME, (1, 1))
    found = summed([router(2, {"queue": 3}, one), router(4, {"queue": 1, "busy": 2}, other, another)], 2)
    assert (found["copied"], found["waiting"], found["dropped"]) == (6, 2, {"queue": 4, "busy": 2})
    first, second = found["pairs"]
    assert (first["compared"], first["differed"], first["share"]) == (5, 2, 0.4)
    assert first["outputs"]["y"] == {"differed": 2, "worst": 2.0}
    assert first["interval"]["low"] == wilson(2, 5)[0]
    assert [example["id"] for example in first["examples"]] == ["b", "c"]
    assert (second["primary"], second["compared"]) == ("3", 1)
    assert one.plain["compared"] == 2  # the parts are as they were


def test_one_that_is_infinite_stays_it() -> None:
    endless = pair(Compared((Difference("y", "value", "", math.inf),)))
    found = summed([router(1, {}, endless), router(1, {}, pair(VALUE))], 0)
    assert found["pairs"][0]["outputs"]["y"] == {"differed": 2, "worst": None}


def test_none_is_nothing() -> None:
    assert summed([], 0) == {"copied": 0, "waiting": 0, "dropped": {}, "pairs": []}
