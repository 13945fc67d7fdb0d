"""Random graphs and requests, answered as KServe's router would."""

import asyncio
import random
from typing import Any

import pytest

from serve_app.config import parse
from serve_app.config.graph import Graph
from serve_app.errors import TandemError, Unavailable
from serve_app.routing.graph import FAILED, Answer, Failed, NoRoute, Router
from tests.unit.routing.kserve_router import Outcome, Reference

# Each with what it means, said without GJSON.
CONDITIONS = {
    "": lambda body: False,
    "[@this].#(kind==x)": lambda body: body.get("kind") == "x",
    "[@this].#(kind==y)": lambda body: body.get("kind") == "y",
    "instances.#(n>5)": lambda body: any(one["n"] > 5 for one in body.get("instances", [])),
    'instances.#(label%"*og")': lambda body: any(
        one["label"].endswith("og") for one in body.get("instances", [])
    ),
    "predictions.0": lambda body: len(body.get("predictions", [])) > 0,
    'predictions.#(label=="dog")': lambda body: any(
        one["label"] == "dog" for one in body.get("predictions", [])
    ),
    "error": lambda body: "error" in body,
    "instances.#(n>5)#": lambda body: "instances" in body,  # an array, be it empty
}


def echo(body: Any) -> tuple[int, Any]:
    return 200, {"predictions": body.get("instances", []), "kind": body.get("kind", "x")}


def dogs(body: Any) -> tuple[int, Any]:
    return 201, {
        "predictions": [{"label": "dog", "n": len(body)}],
        "instances": [{"n": 7, "label": "fog"}],
    }


def refuses(body: Any) -> tuple[int, Any]:
    return (404, {"error": "no such thing", "kind": "y"}) if len(body) % 2 else (503, {"error": "busy"})


def nothing(body: Any) -> tuple[int, Any]:
    return 200, {"predictions": []}


SERVICES = {"echo": echo, "dogs": dogs, "refuses": refuses, "nothing": nothing}


class Status(Unavailable):
    """A step's, beside its body."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Bodies:
    """Implements Form over what the services answer, some sooner than others."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    async def call(self, service: str, version: str, message: Any) -> Answer[Any]:
        for _ in range(self._draw.randrange(3)):
            await asyncio.sleep(0)
        status, body = SERVICES[service](message)
        return Answer(body, Status(status) if status > 299 else None)

    async def asked(self, message: Any, question: Any) -> Any:
        return question(message)

    def mapped(self, message: Any) -> Any:
        predictions = message.get("predictions")
        return {"instances": predictions} if predictions else message

    def merged(self, parts: dict[str, Any]) -> Any:
        return parts


def graph(draw: random.Random) -> dict[str, Any]:
    """Nodes that lead to nodes behind them alone."""
    names = ["root", *(f"node{at}" for at in range(draw.randrange(4)))]
    return {name: node(draw, names[at + 1 :]) for at, name in enumerate(names)}


def node(draw: random.Random, below: list[str]) -> dict[str, Any]:
    kind = draw.choice(["Sequence", "Switch", "Ensemble", "Splitter"])
    steps: list[dict[str, Any]] = []
    for at in range(draw.randint(1, 4)):
        step: dict[str, Any] = {"dependency": draw.choice(["Soft", "Hard"])}
        if below and draw.random() < 0.4:
            step["nodeName"] = draw.choice(below)
        else:
            step["serviceName"] = draw.choice(list(SERVICES))
        if draw.random() < 0.5:
            step["name"] = f"step{at}"
        if draw.random() < 0.5:
            step["data"] = draw.choice(["$response", "$request"])
        if draw.random() < 0.3:
            step["mapPredictionsToInstances"] = True
        if kind == "Switch" or draw.random() < 0.3:
            step["condition"] = draw.choice(list(CONDITIONS))
        if kind == "Sequence" and not at:
            step.pop("condition", None)  # every request would fail: a configuration is refused
        steps.append(step)
    if kind == "Splitter":
        cuts = sorted(draw.randint(0, 100) for _ in steps[1:])
        for step, low, high in zip(steps, [0, *cuts], [*cuts, 100], strict=True):
            step["weight"] = high - low
    return {"routerType": kind, "steps": steps}


def request(draw: random.Random) -> dict[str, Any]:
    body: dict[str, Any] = {
        "instances": [
            {"n": draw.randrange(10), "label": draw.choice(["dog", "cat", "frog"])}
            for _ in range(draw.randrange(4))
        ]
    }
    if draw.random() < 0.7:
        body["kind"] = draw.choice(["x", "y", "z"])
    return body


async def answered(nodes: dict[str, Any], body: Any, draw: random.Random, point: int) -> Outcome:
    """What our router answers over the services."""
    return await outcome({"name": "g", "nodes": nodes}, Bodies(draw), body, point)


async def outcome(graph: dict[str, Any], form: Bodies, body: Any, point: int = 0) -> Outcome:
    """The same over any, as a client of V1 gets it."""
    router = Router[Any](parse(Graph, graph), lambda: point)
    try:
        found = await router.route(form, body, lambda *_: None)
    except (NoRoute, Failed) as error:
        status = 404 if isinstance(error, NoRoute) else 500
        return Outcome(status, {"error": FAILED, "cause": error.cause})
    if found.error is not None:
        assert isinstance(found.error, Status)
        return Outcome(found.error.status, found.message)
    return Outcome(200, found.message)


@pytest.mark.parametrize("hundred", range(10))
async def test_a_thousand_graphs_answer_as_kserve_s_router(hundred: int) -> None:
    kinds = set()
    for seed in range(hundred * 100, hundred * 100 + 100):
        draw = random.Random(seed)
        nodes, body, point = graph(draw), request(draw), draw.randrange(100)
        reference = Reference(nodes, SERVICES, lambda path, one: CONDITIONS[path](one), point)
        # Any success is a 200 here, as models answer nothing else.
        expected = [Outcome(200, one.body) if one.success else one for one in reference.answers(body)]
        got = await answered(nodes, body, draw, point)
        assert got in expected, (seed, nodes, body)
        kinds.add((got.status, "cause" in got.body))
    assert kinds >= {(200, False), (404, True), (500, True)} - ({(500, True)} if hundred else set())


async def test_a_splitter_s_shares_are_its_weights() -> None:
    nodes = {
        "root": {
            "routerType": "Splitter",
            "steps": [
                {"serviceName": "nothing", "weight": 20},
                {"serviceName": "refuses", "weight": 0},
                {"serviceName": "dogs", "weight": 80},
            ],
        }
    }
    by_point = [await answered(nodes, {}, random.Random(0), point) for point in range(100)]
    assert [one.body == {"predictions": []} for one in by_point] == [True] * 20 + [False] * 80
    assert all(one.status == 200 for one in by_point)
    router = Router[Any](parse(Graph, {"name": "g", "nodes": nodes}))
    draws = [await router.route(Bodies(random.Random(0)), {}, lambda *_: None) for _ in range(400)]
    assert 30 < sum(one.message == {"predictions": []} for one in draws) < 140


async def test_every_node_that_is_left_is_heard_of_with_its_error() -> None:
    nodes = {
        "root": {
            "routerType": "Sequence",
            "steps": [{"nodeName": "first"}, {"nodeName": "second", "dependency": "Hard"}],
        },
        "first": {"routerType": "Ensemble", "steps": [{"serviceName": "refuses", "dependency": "Hard"}]},
        "second": {"routerType": "Switch", "steps": [{"serviceName": "echo", "condition": "kind"}]},
    }
    heard: list[tuple[str, str]] = []

    def hear(name: str, seconds: float, error: BaseException | None) -> None:
        assert seconds >= 0
        heard.append((name, type(error).__name__))

    router = Router[Any](parse(Graph, {"name": "g", "nodes": nodes}))
    with pytest.raises(Failed, match="None of the routes matched"):
        await router.route(Bodies(random.Random(0)), {"instances": []}, hear)
    assert heard == [("first", "Status"), ("second", "NoRoute"), ("root", "Failed")]
    assert issubclass(NoRoute, TandemError)


async def test_an_ensemble_s_steps_run_side_by_side_and_none_is_left_running() -> None:
    running, most, gone = 0, 0, 0

    class Slow(Bodies):
        async def call(self, service: str, version: str, message: Any) -> Answer[Any]:
            nonlocal running, most, gone
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(0.01 if service == "refuses" else 60)
                return Answer({}, Status(503))
            finally:
                running -= 1
                gone += 1

    steps = [{"serviceName": "refuses", "dependency": "Hard"}, {"serviceName": "dogs"}]
    nodes = {"root": {"routerType": "Ensemble", "steps": steps}}
    router = Router[Any](parse(Graph, {"name": "g", "nodes": nodes}))
    answer = await router.route(Slow(random.Random(0)), {}, lambda *_: None)
    assert isinstance(answer.error, Status)
    await asyncio.sleep(0)
    assert (most, running, gone) == (2, 0, 2)
