"""Graphs as models among models: what is said of them, who asks, how long, and what is heard."""

import asyncio

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
from tests.unit.core.graphs.made import (
    BOTH,
    HARD,
    ONE,
    RESPONSE,
    ROW,
    Times,
    ask,
    graph,
    node,
    of,
    with_graphs,
)
from tests.unit.planes import Raises, call, heard, served, tensor


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
