from typing import Any

import pytest

from serve_app.config import RouterUserConfig, parse
from serve_app.errors import ConfigError


def step(**more: Any) -> dict[str, Any]:
    return {"serviceName": "m", **more}


def node(*steps: Any, kind: str = "Sequence") -> dict[str, Any]:
    return {"routerType": kind, "steps": list(steps)}


def graph(root: Any, name: str = "g", **nodes: Any) -> dict[str, Any]:
    return {"name": name, "nodes": {"root": root, **nodes}}


def read(*graphs: Any, **more: Any) -> RouterUserConfig:
    return parse(RouterUserConfig, {"graphs": list(graphs), **more})


def test_a_graph_in_kserve_s_words() -> None:
    found = read(
        graph(
            node(step(name="a", data="$request"), {"nodeName": "n", "data": "$response"}),
            n=node(step(weight=20), step(weight=80, modelVersion=2), kind="Splitter"),
        )
    ).graphs[0]
    assert found.nodes["root"].steps[0].dependency == "Soft"  # as KServe has it
    assert found.nodes["n"].steps[1].model_version == "2"
    assert found.services() == {"m"}
    assert found.most_steps({}) == 2


MANY = {
    f"n{at}": node({"nodeName": f"n{at + 1}"}, {"nodeName": f"n{at + 1}"}, kind="Ensemble")
    for at in range(10)
}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "g", "nodes": {"rot": node(step())}}, r"nodes: no node 'root'; did you mean rot\?"),
        (graph(node(kind="Switch")), "nodes.root.steps: List should have at least 1 item"),
        (graph(node(step(), kind="Sequnce")), "did you mean Sequence"),
        (graph(node(step(dependency="hard"))), "did you mean Hard"),
        (graph(node({"nodName": "x"})), "nodName: unknown key; did you mean nodeName"),
        (graph(node({})), r"steps\[0\]: a step has either serviceName or nodeName"),
        (graph(node(step(nodeName="root"))), "either serviceName or nodeName"),
        (graph(node({"nodeName": "x"})), r"steps\[0\].nodeName: no node 'x'; known: root"),
        (graph(node({"nodeName": "root"})), "nodes.root: a circle: root -> root"),
        (
            graph(node({"nodeName": "a"}), a=node({"nodeName": "b"}), b=node({"nodeName": "a"})),
            "a circle: a -> b -> a",
        ),
        (graph(node(step(weight=50), step(weight=49), kind="Splitter")), "add up to 100, these to 99"),
        (graph(node(step(weight=100), step(), kind="Splitter")), r"steps\[1\].weight: required"),
        (graph(node(step(condition="a.@keys"), kind="Switch")), "condition: the GJSON path 'a.@keys'"),
        (graph(node(step(condition="a"), step())), r"steps\[0\].condition: nothing was answered yet"),
        (graph(node(step(name="a"), step(name="a"))), r"steps\[1\].name: two steps are called 'a'"),
        (graph(node(step()), name="a/b"), "must start with a letter or digit"),
        (
            graph(node({"nodeName": "n0"}), **MANY, n10=node(step())),
            "a request could take 1,024 steps, at most 1,000",
        ),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read(wrong)


def test_graphs_beside_each_other() -> None:
    a, b = graph(node({"serviceName": "b"}), "a"), graph(node({"serviceName": "a"}), "b")
    with pytest.raises(ConfigError, match="graphs in a circle: a -> b -> a"):
        read(a, b)
    with pytest.raises(ConfigError, match=r"graphs\[1\].name: graphs holds 'a' twice"):
        read(a, a)
    model = {"name": "a", "modelFormat": "onnx", "storageUri": "x"}
    with pytest.raises(ConfigError, match=r"graphs\[0\].name: 'a' is also a model of the Router"):
        read(a, models=[model])
    four = [
        graph(node(*[{"serviceName": f"g{at + 1}"}] * 6, kind="Ensemble"), f"g{at}") for at in range(4)
    ]
    with pytest.raises(ConfigError, match="a request could take 1,296 steps"):
        read(*four)
