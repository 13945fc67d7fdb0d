"""Why a prediction is what it is, of a version that can say so."""

import asyncio

import pytest

from serve_app.core.target import Target
from serve_app.errors import DeadlineExceeded, InvalidArgument, ModelFailed, NotFound, Unsupported
from tests.unit.planes import Backend, Bound, call, description, heard, plane, served, tensor

ROW = [[1.0, 2.0]]


class Explainer:
    def __init__(self, error: Exception | None = None, seconds: float = 0) -> None:
        self.error, self.seconds = error, seconds

    async def explain(self, inputs, parameters):
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        return {"why": inputs["x"] * 100}


def explaining(**options):
    made = plane()
    model = made.directory.expect("m", "")
    model.max_queued = 1
    target = Target(Bound(Backend(), "1"), explains=Explainer(**options))
    model.serve("", description(versions=("1",)), {"1": target})
    return made


async def test_an_explanation_is_counted_as_a_request():
    made = explaining()
    made.check_explains("m")
    answer = await made.explain(call(tensor(ROW), id="7"))
    assert [(one.name, one.data.tolist()) for one in answer.outputs] == [("why", [[100, 200]])]
    assert (answer.model, answer.version, answer.id) == ("m", "1", "7")
    assert heard(made).requests == [("m", "1", "")]
    assert made.directory.model("m").pending == 0


@pytest.mark.parametrize(
    ("options", "asked", "kind", "message"),
    [
        ({"error": ModelFailed("it broke")}, {}, ModelFailed, r"it broke \(request id 7\)"),
        ({"seconds": 5}, {"parameters": {"timeout": 1}}, DeadlineExceeded, "no answer within"),
        ({}, {"parameters": {"timeout": "x"}}, InvalidArgument, "microseconds"),
        ({}, {"version": "9"}, NotFound, "no version '9'"),
    ],
)
async def test_what_goes_wrong_does_as_in_a_prediction(options, asked, kind, message):
    made = explaining(**options)
    with pytest.raises(kind, match=message):
        await made.explain(call(tensor(ROW), id="7", **asked))
    assert made.directory.model("m").pending == 0


async def test_a_model_without_an_explainer_says_so():
    made = plane()
    served(made)
    with pytest.raises(Unsupported, match="no explainer"):
        made.check_explains("m")
    with pytest.raises(Unsupported, match="no explainer"):
        await made.explain(call(tensor(ROW)))
    with pytest.raises(NotFound):
        made.check_explains("n")
