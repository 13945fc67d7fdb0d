"""The ten scenarios of KServe's own end-to-end test (test/e2e/graph), with what it expects of each."""

import random
from typing import Any

import pytest

from serve_app.config.kserve_graph import from_kserve
from serve_app.routing.graph import FAILED, Answer
from tests.unit.routing.test_graph_as_kserve import Bodies, Status, outcome

GOOD, BAD = {"predictions": [{"message": "SUCCESS"}]}, {"detail": "Intentional 404 code"}
HARD = {"dependency": "Hard"}
IF_ERROR = {"condition": "[@this].#(decision_picker==ERROR)"}
IF_SUCCESS = {"condition": "[@this].#(decision_picker==SUCCESS)"}
ERROR, SUCCESS, NONE = ({"decision_picker": word} for word in ("ERROR", "SUCCESS", "NONE"))
NOTHING = {"error": FAILED, "cause": "None of the routes matched with the switch condition"}


class Two(Bodies):
    """A service that always answers, and one that always refuses."""

    async def call(self, service: str, version: str, message: Any) -> Answer[Any]:
        return Answer(GOOD) if service == "success-200" else Answer(BAD, Status(404))


def node(kind: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"routerType": kind, "steps": [{"name": f"step{at}", **one} for at, one in enumerate(steps)]}


def good(**more: Any) -> dict[str, Any]:
    return {"serviceName": "success-200", **more}


def bad(**more: Any) -> dict[str, Any]:
    return {"serviceName": "error-404", **more}


def before_good(kind: str, step: dict[str, Any], **root: Any) -> dict[str, Any]:
    return {"root": node("Sequence", {"nodeName": "n", **root}, good()), "n": node(kind, step)}


SWITCH = {"root": node("Switch", bad(**IF_ERROR), good(**IF_SUCCESS))}
SCENARIOS = [
    ("1", {"root": node("Sequence", good(), bad(data="$request"))}, ERROR, 404, BAD),
    ("2", {"root": node("Sequence", bad(), good(data="$request"))}, ERROR, 200, GOOD),
    ("3", {"root": node("Sequence", bad(**HARD), good(dependency="Soft"))}, ERROR, 404, BAD),
    ("4, case 1", SWITCH, ERROR, 404, BAD),
    ("4, case 2", SWITCH, SUCCESS, 200, GOOD),
    ("4, case 3", SWITCH, NONE, 404, NOTHING),
    ("5", before_good("Switch", bad(**IF_ERROR), dependency="Soft"), ERROR, 200, GOOD),
    ("6", before_good("Switch", bad(**IF_ERROR, **HARD), **HARD), ERROR, 404, BAD),
    ("7", {"root": node("Ensemble", good(), bad())}, ERROR, 200, {"step0": GOOD, "step1": BAD}),
    ("8", {"root": node("Ensemble", bad(**HARD), good(), good())}, ERROR, 404, BAD),
    ("9", before_good("Splitter", bad(weight=100, **IF_ERROR)), ERROR, 200, GOOD),
    ("10", before_good("Splitter", bad(weight=100, **IF_ERROR, **HARD), **HARD), ERROR, 404, BAD),
]


IDS = [row[0] for row in SCENARIOS]


@pytest.mark.parametrize(("_", "nodes", "body", "status", "answer"), SCENARIOS, ids=IDS)
async def test_scenario(_: str, nodes: Any, body: Any, status: int, answer: Any) -> None:
    made = from_kserve({"metadata": {"name": "g"}, "spec": {"nodes": nodes}})
    assert [one.what for one in made.said if one.severity == "error"] == []
    found = await outcome(made.graph, Two(random.Random(0)), body)
    assert (found.status, found.body) == (status, answer)
