"""Large requests and answers: conditions are asked of them in threads, once, and up to a size."""

import threading
from typing import Any

import numpy as np
import pytest

from serve_app.core.graphs import aside, tensors
from serve_app.errors import ModelFailed, TooLarge
from serve_app.gjson import Path
from serve_app.protocol.tensors import Tensor
from tests.unit.core.graphs.made import Times, ask, graph, node, with_graphs
from tests.unit.planes import call, tensor

ROW = [[1.0, 2.0]]
MANY = [[float(at), 2.0] for at in range(40_000)]
SWITCH = node(
    {"serviceName": "a", "condition": "inputs.#(name==nobody)"},
    {"serviceName": "a", "condition": "nothing"},
    {"serviceName": "a", "condition": "[@this]"},
    kind="Switch",
)
AFTER = node("a", {"serviceName": "a", "condition": "[@this]"})


@pytest.fixture
def where(monkeypatch) -> list[bool]:
    """Of each condition that was asked: whether that was in the event loop's thread."""
    found: list[bool] = []
    exists = Path.exists

    def asked(self: Path, value: Any) -> bool:
        found.append(threading.current_thread() is threading.main_thread())
        return exists(self, value)

    monkeypatch.setattr(Path, "exists", asked)
    return found


@pytest.mark.parametrize(("rows", "here"), [(ROW, True), (MANY, False)])
async def test_v2_in_threads_and_read_once(monkeypatch, where, rows, here):
    entries: list[Tensor] = []
    entry = tensors._entry
    monkeypatch.setattr(tensors, "_entry", lambda one: entries.append(one) or entry(one))
    inner = {"inner": SWITCH}
    outer = node({"nodeName": "inner", "condition": "[@this]"}, kind="Switch")
    p, _ = with_graphs(graph(outer, **inner), a=Times(2))
    answer = await p.infer(call(tensor(rows), model="g"))
    assert answer.arrays["y"].tolist() == (np.array(rows) * 2).tolist()
    assert where == [here] * 4
    assert len(entries) == 1


@pytest.mark.parametrize(("rows", "here"), [(ROW, True), (MANY, False)])
async def test_v1_answers_in_threads(where, rows, here):
    p, _ = with_graphs(graph(AFTER), a=Times(2))
    assert len((await ask(p, {"instances": rows}))["predictions"]) == len(rows)
    assert where == [here]


async def test_what_conditions_see_of_many_elements():
    found: list[Any] = []
    message = tensors.Message([tensor(MANY)])
    await tensors.Tensors(None).asked(message, found.append)
    assert found[0]["inputs"][0]["data"] == [one for row in MANY for one in row]


async def test_what_is_too_large_for_conditions(monkeypatch):
    monkeypatch.setattr(tensors, "MOST", 100)
    rows = [[1.0, 2.0]] * 20
    p, _ = with_graphs(
        graph(SWITCH), graph(AFTER, name="after"), graph(node("a"), name="no"), a=Times(2)
    )
    with pytest.raises(TooLarge, match="at most 100 bytes, got 160"):
        await p.infer(call(tensor(rows), model="g"))
    with pytest.raises(ModelFailed, match="at most 100 bytes, got 160"):
        await p.infer(call(tensor(rows), model="after"))
    assert len((await p.infer(call(tensor(rows), model="no"))).arrays["y"]) == 20


def test_sizes():
    texts = Tensor("a", "BYTES", np.array([b"x" * 100, b""], object))
    assert aside.size([texts, tensor(ROW)]) == 100 + 2 * 8 + 8
