"""Metrics and lines of shadows' copies."""

import json

import pytest

from serve_app.core.shadow.jobs import Job
from serve_app.observability.shadows import ShadowMetrics
from serve_app.protocol.tensors import InferRequest
from serve_app.routing.comparing import Compared, Difference
from serve_app.routing.tally import Pair
from tests.unit.core.shadow.shadowed import Shadowed
from tests.unit.observability.conftest import Handed

OF = {"model_name": "m", "model_version": "1", "shadow_version": "2"}
FOUND = Compared(
    (
        Difference("y", "value", "1 of 2 elements, by 0.5", 0.5, "0.25 and 0.75"),
        Difference("z", "value", "2 of 2 elements", 1.0),
        Difference("t", "text", "1 of 1 elements", 1.0, "'secret' and 'word'"),
    )
)


def job(id: str = "7") -> Job:
    return Job(InferRequest("m", "", id, []), "infer")


async def test_what_is_counted(handed: Handed) -> None:
    made, pair = ShadowMetrics(), Pair("1", "2")
    made.copies = Shadowed().shadows.models
    for found in (Compared(), FOUND, Compared()):
        made.compared(pair, job(), found)
    for reason in ("queue", "queue", "busy"):
        made.dropped("m", "2", reason)
    made._flush()
    assert handed["shadow_compared_total"] == [(OF, 3)]
    assert handed["shadow_differed_total"] == [(OF, 1)]
    kinds = {tags["kind"]: count for tags, count in handed["shadow_differences_total"]}
    assert kinds == {"value": 1, "text": 1}
    drops = {tags["reason"]: count for tags, count in handed["shadow_dropped_total"]}
    assert drops == {
        "queue": 2, "busy": 1, "bytes": 0, "unavailable": 0, "replaced": 0, "broken": 0,
    }  # fmt: skip
    assert handed["shadow_queued"] == [({"model_name": "m"}, 0)]
    assert handed["shadow_bytes"] == [({"model_name": "m"}, 0)]
    made._flush()
    assert handed["shadow_compared_total"][-1] == (OF, 3)  # Ray forgets what nobody says again


async def test_that_nothing_differs_is_said_too(handed: Handed) -> None:
    made = ShadowMetrics()
    made.compared(Pair("1", "2"), job(), Compared())
    made._flush()
    assert handed["shadow_differed_total"] == [(OF, 0)]


async def test_a_line_says_where_and_no_values(capfd: pytest.CaptureFixture[str]) -> None:
    made, pair = ShadowMetrics(), Pair("1", "2")
    for number in range(3):
        made.compared(pair, job(str(number)), FOUND)
    made._said = 0.0
    made.compared(pair, job("last"), FOUND)
    written = capfd.readouterr().out
    first, last = map(json.loads, written.splitlines())
    assert (first["event"], first["id"], first["model"], first["version"], first["shadow"]) == (
        "shadow", "0", "m", "1", "2",
    )  # fmt: skip
    assert first["differences"][0] == "y: 1 of 2 elements, by 0.5"
    assert (last["id"], last["more"]) == ("last", 2)
    assert "secret" not in written
    assert "0.75" not in written
