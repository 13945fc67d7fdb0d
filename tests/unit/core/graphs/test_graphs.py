"""Graphs over a data plane's own models."""

import pytest

from serve_app.errors import (
    InvalidArgument,
    NotFound,
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
from tests.unit.planes import Echo, Raises, call, tensor


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
