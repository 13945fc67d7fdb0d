"""Steps that ask a model whose versions share its requests: the version that the shares name decodes."""

from collections import Counter

import pytest

from serve_app.config import Traffic
from serve_app.core.call import Call, Headers
from serve_app.core.graphs.documents import DocumentRequest
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.core.graphs.made import ask, graph, node, with_graphs
from tests.unit.planes import Echo, description, heard, targets


@pytest.fixture
def typed():
    """A graph of one step, and a model whose versions take other types."""
    p, _ = with_graphs(graph(node("typed")))
    model = p.directory.expect("typed", "")
    about = description("typed")
    for number, datatype in (("1", "INT64"), ("2", "FP64")):
        spec = TensorSpec("x", datatype, (-1,))
        about.versions[number] = VersionDescription([spec], [spec])
    model.serve("", about, targets(Echo()))

    def shared(**said):
        model.direct(None, Traffic.model_validate(said))
        return p

    return shared


def seen(p) -> Counter:
    calls = [call for call in heard(p).calls if call.model == "typed"]
    # Named by nobody: a rollout counts them.
    assert {call.request.version for call in calls} == {""}
    return Counter(call.version.number for call in calls)


async def test_documents_are_shared_by_turns_and_decoded_once_for_the_version_that_answers(typed):
    p = typed(weights={"1": 90, "2": 10})
    for number in range(200):
        assert await ask(p, {"instances": [number]}) == {"predictions": [number]}
    assert seen(p) == pytest.approx({"1": 180, "2": 20}, abs=3)


async def test_documents_are_shared_by_a_header_a_parameter_and_an_input(typed):
    p = typed(
        weights={"1": 50, "2": 50},
        match=[{"header": "x-tester", "version": "2"}, {"parameter": "old", "version": "1"}],
        sticky={"input": "x"},
    )
    for _ in range(4):
        # What version 1 doesn't take.
        assert await ask(p, {"instances": [1.5]}, headers=Headers([("x-tester", "1")]))
    assert seen(p) == {"2": 4}
    request = DocumentRequest("g", "", "", [], document={"instances": [1]})
    request.parameters = {"old": True}
    await p.infer(Call(request, Headers(), "http"))
    assert seen(p) == {"2": 4, "1": 1}
    for number in range(20):
        assert await ask(p, {"instances": [number]}) == {"predictions": [number]}
    of_users = seen(p) - Counter({"2": 4, "1": 1})
    assert of_users["1"] in range(4, 17)
    again = Counter(of_users)
    for number in range(20):
        await ask(p, {"instances": [number]})
    assert seen(p) - Counter({"2": 4, "1": 1}) == again + again
