"""Graphs over a data plane's own models."""

import asyncio
from typing import Any

import numpy as np
import pytest

from serve_app.config import parse
from serve_app.config.graph import Graph
from serve_app.core.call import Headers
from serve_app.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    NotFound,
    Unavailable,
    raised,
)
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.core.graphs.made import ONE, Times, ask, graph, node, with_graphs
from tests.unit.planes import Echo, Raises, call, heard, served, tensor

ROW = [[1.0, 2.0]]
HARD = {"dependency": "Hard"}
RESPONSE = {"data": "$response"}
BOTH = node({"serviceName": "a", "name": "one"}, "b", kind="Ensemble")


def of(service: str, **more: Any) -> dict[str, Any]:
    return {"serviceName": service, **more}


async def test_a_sequence_gives_answers_on_as_tensors_and_as_documents():
    p, _ = with_graphs(graph(node("a", of("b", **RESPONSE))), a=Times(2), b=Times(10))
    answer = await p.infer(call(tensor(ROW), model="g", id="one"))
    assert (answer.model, answer.version, answer.id) == ("g", "1", "one")
    # What was answered as y is asked as y, and b knows x alone.
    assert answer.outputs[0].name == "y"
    assert await ask(p, {"instances": ROW}) == {"predictions": [[20.0, 40.0]]}


async def test_of_several_outputs_a_model_gets_those_that_it_takes():
    two = VersionDescription(ONE.inputs, [TensorSpec(name, "FP32", (-1, 2)) for name in "xy"])

    class Both:
        async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
            return {"x": inputs["x"] * 5, "y": inputs["x"]}

    p, _ = with_graphs(graph(node("both", of("a", **RESPONSE))), both=(Both(), two), a=Times(2))
    assert (await p.infer(call(tensor(ROW), model="g"))).arrays["y"].tolist() == [[10, 20]]
    assert await ask(p, {"instances": ROW}) == {"predictions": [[10.0, 20.0]]}


async def test_without_response_every_step_gets_the_request():
    p, _ = with_graphs(graph(node("a", "b")), a=Times(2), b=Times(10))
    assert (await p.infer(call(tensor(ROW), model="g"))).arrays["y"].tolist() == [[10, 20]]
    assert await ask(p, {"instances": ROW}) == {"predictions": [[10.0, 20.0]]}


async def test_an_ensemble_over_each_protocol():
    p, _ = with_graphs(graph(BOTH), a=Times(2), b=Times(3))
    answer = await p.infer(call(tensor(ROW), model="g"))
    assert {name: one.tolist() for name, one in answer.arrays.items()} == {
        "one.y": [[2, 4]], "1.y": [[3, 6]],
    }  # fmt: skip
    assert await ask(p, {"instances": ROW}) == {
        "one": {"predictions": [[2.0, 4.0]]},
        "1": {"predictions": [[3.0, 6.0]]},
    }


@pytest.mark.parametrize("names", [("one", "b.y"), ("one.y", "b.y")])
async def test_what_an_ensemble_answered_reaches_a_model_by_the_steps_names(names):
    inputs = [TensorSpec(name, "FP32", (-1, 2)) for name in names]
    about = VersionDescription(inputs, [TensorSpec(name, "FP32", (-1, 2)) for name in names])
    root = node({"nodeName": "both"}, of("last", **RESPONSE))
    both = node(of("a", name="one"), of("b", name="b"), kind="Ensemble")
    p, _ = with_graphs(graph(root, both=both), a=Times(2), b=Times(3), last=(Echo(), about))
    answer = await p.infer(call(tensor(ROW), model="g"))
    assert {name: one.tolist() for name, one in answer.arrays.items()} == {
        names[0]: [[2, 4]], names[1]: [[3, 6]],
    }  # fmt: skip
    assert await ask(p, {"instances": ROW}) == {
        "predictions": {names[0]: [[2.0, 4.0]], names[1]: [[3.0, 6.0]]}
    }


async def test_a_step_that_fails_is_the_answer_if_it_is_the_last_or_hard():
    broken = Raises(InvalidArgument("no"))
    p, graphs = with_graphs(graph(node("a", "bad")), a=Times(2), bad=broken)
    for root in (node("a", "bad"), node(of("bad", **HARD), "a")):
        graphs.configure([graph(root)])
        with pytest.raises(InvalidArgument, match=r"^no$"):
            await p.infer(call(tensor(ROW), model="g"))
        with pytest.raises(InvalidArgument, match=r"^no$"):
            await ask(p, {"instances": ROW})
    graphs.configure([graph(node("bad", "a"))])
    assert await ask(p, {"instances": ROW}) == {"predictions": [[2.0, 4.0]]}
    graphs.configure([graph(node("bad", "a", kind="Ensemble"))])
    assert await ask(p, {"instances": ROW}) == {
        "0": {"error": "no"}, "1": {"predictions": [[2.0, 4.0]]},
    }  # fmt: skip
    answer = await p.infer(call(tensor(ROW), model="g"))
    assert answer.arrays["0.error"].tolist() == [b"no"]
    # An unmet condition ends it with a success, whatever is answered by then.
    graphs.configure([graph(node("bad", of("a", condition="predictions")))])
    assert await ask(p, {"instances": ROW}) == {"error": "no"}


@pytest.mark.parametrize(
    ("condition", "document"),
    [
        ("instances.#(#(>1.5))", {"instances": ROW}),
        ("[@this].#(kind==x)", {"instances": ROW, "kind": "x"}),
    ],
)
async def test_a_switch_on_documents(condition, document):
    root = node(of("a", condition=condition), of("b", condition="instances"), kind="Switch")
    p, _ = with_graphs(graph(root), a=Times(2), b=Times(3))
    assert await ask(p, document) == {"predictions": [[2.0, 4.0]]}
    assert await ask(p, {"instances": [[0, 1]]}) == {"predictions": [[0.0, 3.0]]}
    with pytest.raises(NotFound, match="None of the routes matched with the switch condition"):
        await ask(p, {"inputs": ROW})


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ("parameters.kind", {"parameters": {"kind": "x"}}),
        ("[@this].#(id==abc)", {"id": "abc"}),
        ("inputs.#(name==x).data.#(>1.5)", {}),
    ],
)
async def test_a_switch_on_tensors(condition, asked):
    p, _ = with_graphs(graph(node(of("a", condition=condition), kind="Switch")), a=Times(2))
    row = ROW if not asked else [[0.0, 1.0]]
    await p.infer(call(tensor(row), model="g", **asked))
    with pytest.raises(NotFound, match="Failed to process request: None of the routes"):
        await p.infer(call(tensor([[0.0, 1.0]]), model="g"))


async def test_a_condition_on_an_answer_s_tensors():
    root = node("a", of("b", condition="outputs.#(name==y).data.#(>3)"))
    p, _ = with_graphs(graph(root), a=Times(2), b=Times(3))
    assert (await p.infer(call(tensor(ROW), model="g"))).arrays["y"].tolist() == [[3, 6]]
    assert (await p.infer(call(tensor([[1.0, 1.0]]), model="g"))).arrays["y"].tolist() == [[2, 2]]


async def test_predictions_as_instances():
    root = node("a", of("b", **RESPONSE, mapPredictionsToInstances=True))
    p, _ = with_graphs(graph(root), a=Times(2), b=Times(3))
    assert await ask(p, {"instances": ROW}) == {"predictions": [[6.0, 12.0]]}


async def test_a_graph_in_a_graph():
    inner = graph(BOTH, "inner")
    outer = graph(node(of("inner"), "b"), "outer")
    only = graph(node(of("inner")), "only")
    p, _ = with_graphs(outer, inner, only, a=Times(2), b=Times(3))
    assert await ask(p, {"instances": ROW}, "outer") == {"predictions": [[3.0, 6.0]]}
    assert set(await ask(p, {"instances": ROW}, "only")) == {"one", "1"}
    assert set((await p.infer(call(tensor(ROW), model="only"))).arrays) == {"one.y", "1.y"}
    assert [one["name"] for one in p.model_metadata("only")["outputs"]] == ["one.y", "1.y"]


async def test_what_is_said_of_a_graph():
    p, graphs = with_graphs(graph(node("a", "b")), a=Times(2), b=Times(3))
    about = p.model_metadata("g")
    assert about["platform"] == "graph"
    assert about["versions"] == ["1"]
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert about["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}]
    assert p.model_ready("g")
    assert {"name": "g", "version": "1", "state": "READY", "reason": ""} in p.repository_index()
    await p.infer(call(tensor(ROW), model="g"))
    await p.infer(call(tensor(ROW), model="g", version="1"))
    (found,) = p.statistics("g")
    assert (found["inference_stats"]["success"]["count"], found["inference_count"]) == (2, 2)
    with pytest.raises(NotFound, match="no version '2'"):
        await p.infer(call(tensor(ROW), model="g", version="2"))
    with pytest.raises(InvalidArgument, match="'q' is not an output of model 'g', which has y"):
        await p.infer(call(tensor(ROW), model="g", outputs=["q"]))
    graphs.configure([graph(BOTH)])
    only = await p.infer(call(tensor(ROW), model="g", outputs=["1.y"]))
    assert [one.name for one in only.outputs] == ["1.y"]
    (found,) = p.statistics("g")
    assert found["inference_count"] == 3  # another graph of the name counts on


async def test_where_ways_differ_nothing_is_declared():
    other = VersionDescription([TensorSpec("z", "INT64", (-1,))], ONE.outputs)
    p, graphs = with_graphs(
        graph(node(of("a", condition="a"), of("b", condition="b"), kind="Switch")),
        a=Times(2), b=(Times(3), other),
    )  # fmt: skip
    about = p.model_metadata("g")
    assert about["inputs"] == []
    assert [one["name"] for one in about["outputs"]] == ["y"]
    graphs.configure([graph(node("a", of("b", **RESPONSE)))])
    assert [one["name"] for one in p.model_metadata("g")["inputs"]] == ["x"]
    served(p, "a", Times(2), about=other, versions=("1",))  # another version of a model comes
    assert [one["name"] for one in p.model_metadata("g")["inputs"]] == ["z"]


async def test_it_is_ready_with_its_models_and_goes_as_far_as_it_comes_without():
    p, graphs = with_graphs(graph(node("late", "a")), a=Times(2))
    assert not p.model_ready("g")
    assert p.why("g") == "no model 'late'"
    assert await ask(p, {"instances": ROW}) == {"predictions": [[2.0, 4.0]]}
    late = p.directory.expect("late", "", "its application is DEPLOYING")
    assert p.why("g") == "model 'late' is not ready: its application is DEPLOYING"
    graphs.configure([graph(node(of("late", **HARD), "a"))])
    with pytest.raises(Unavailable, match="its application is DEPLOYING"):
        await ask(p, {"instances": ROW})
    served(p, "late", Times(1), about=ONE, versions=("1",))
    assert p.model_ready("g")
    late.unavailable("", "gone")
    assert not p.model_ready("g")
    graphs.configure([])
    with pytest.raises(NotFound, match="no model 'g'"):
        await ask(p, {"instances": ROW})


async def test_a_step_s_own_version():
    class Number:
        async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
            return {"y": np.full((1, 2), int(version), np.float32)}

    p, graphs = with_graphs(graph(node(of("n", modelVersion="1"))))
    served(p, "n", Number(), about=ONE)
    assert await ask(p, {"instances": ROW}) == {"predictions": [[1.0, 1.0]]}
    graphs.configure([graph(node(of("n")))])
    assert await ask(p, {"instances": ROW}) == {"predictions": [[2.0, 2.0]]}
    graphs.configure([graph(node(of("n", modelVersion="7")))])
    with pytest.raises(NotFound, match="no version '7'"):
        await ask(p, {"instances": ROW})


async def test_steps_are_calls_of_the_same_caller():
    p, _ = with_graphs(graph(BOTH), a=Times(2), b=Times(3))
    headers = Headers([("x-request-id", "r1"), ("traceparent", "00-1-2-01")])
    await ask(p, {"instances": ROW}, headers=headers)
    calls = heard(p).calls
    assert [one.request.model for one in calls] == ["a", "b", "g"]
    assert {one.trace for one in calls} == {"00-1-2-01"}
    assert len({one.request.id for one in calls}) == 1
    assert all(one.deadline <= calls[-1].deadline + 0.01 for one in calls)


async def test_parameters_reach_the_models_that_they_are_for():
    seen = []

    class Keeps(Times):
        async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
            seen.append(parameters)
            return await super().predict(version, inputs, parameters)

    p, _ = with_graphs(graph(node("a")), a=Keeps(1))
    await p.infer(call(tensor(ROW), model="g", parameters={"shade": "red", "timeout": 5_000_000}))
    assert seen == [{"shade": "red"}]


async def test_nodes_are_told_of_with_what_became_of_them():
    told = []
    p, graphs = with_graphs(graph(node({"nodeName": "n"}), n=BOTH), a=Times(2), b=Times(3))

    class Hears:
        def node(self, call, graph, node, seconds, error):
            told.append((call.request.model, graph, node, type(error).__name__))

        def __getattr__(self, name):
            return lambda *_: None

    p.observers.each = (*p.observers.each, Hears())
    await ask(p, {"instances": ROW})
    await p.infer(call(tensor(ROW), model="g"))
    assert told == [("g", "g", "n", "NoneType"), ("g", "g", "root", "NoneType")] * 2
    told.clear()
    inner = graph(node(of("bad", **HARD)), "inner")
    outer = graph(node(of("inner", **HARD)))
    served(p, "bad", Raises(Unavailable("away")), about=ONE, versions=("1",))
    graphs.configure([inner, outer])
    with pytest.raises(Unavailable, match="away"):
        await ask(p, {"instances": ROW})
    assert told == [
        ("inner", "inner", "root", "Unavailable"),
        ("g", "g", "root", "Unavailable"),
    ]


async def test_a_model_s_own_exception_is_said_once(caplog):
    broken = Raises(raised("model 'bad' raised", ValueError("secret")))
    p, _ = with_graphs(graph(node("bad")), bad=broken)
    with pytest.raises(ModelFailed, match=r"^model 'bad' raised ValueError \(request id r\)$"):
        await p.infer(call(tensor(ROW), model="g", id="r"))
    assert [record.message.count("secret") for record in caplog.records] == [1]


async def test_time_limits_of_the_graph_and_of_its_steps():
    class Never:
        async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
            await asyncio.Event().wait()
            return {}

    p, graphs = with_graphs(graph(node("slow", "a")), slow=Never(), a=Times(1))
    with pytest.raises(DeadlineExceeded):
        await p.infer(call(tensor(ROW), model="g", parameters={"timeout": 20_000}))
    limited = {"name": "g", "nodes": {"root": node("slow", "a")}}
    graphs.configure([parse(Graph, limited | {"routerTimeouts": {"serviceClient": 1}})])
    with pytest.raises(ModelFailed, match="Failed to process request: model 'slow' gave no answer"):
        await p.infer(call(tensor(ROW), model="g"))


async def test_a_model_of_the_name_keeps_it(caplog):
    p, graphs = with_graphs(a=Times(1), b=Times(2))
    graphs.configure([graph(node("b"), "a")])
    assert "graph 'a' isn't served: there is a model of that name" in caplog.text
    assert (await p.infer(call(tensor(ROW), model="a"))).arrays["y"].tolist() == ROW
