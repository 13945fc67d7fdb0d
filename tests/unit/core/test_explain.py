"""Why a prediction is what it is: a request to the model that explains another one."""

import asyncio

import pytest

from serve_app.config import Traffic
from serve_app.core.explaining import one_of
from serve_app.core.target import Target
from serve_app.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    NotFound,
    Overloaded,
    Unavailable,
    Unsupported,
)
from serve_app.protocol.explanations import METHOD
from serve_app.protocol.metadata import VersionDescription
from tests.unit.planes import call, description, heard, plane, served, tensor

ROW = [[1.0, 2.0]]


class Explainer:
    """Answers x as `why`, a hundred times as large; keeps what it got."""

    def __init__(self, error: Exception | None = None, seconds: float = 0) -> None:
        self.error, self.seconds, self.seen = error, seconds, []

    async def predict(self, inputs, parameters):
        self.seen.append((inputs, parameters))
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        return {"why": inputs["x"] * 100, "how": inputs["x"]}


def explaining(method: str = "lime", versions=("1",), **options):
    """A model of the versions 1 and 2, and one that explains it."""
    made, explainer = plane(), Explainer(**options)
    served(made)
    made.directory.explainers["app"] = "why-m", "m"
    model = made.directory.expect("why-m", "app")
    model.max_queued = 1
    about = description("why-m", VersionDescription([], [], {METHOD: method}), versions)
    model.serve("app", about, dict.fromkeys(versions, Target(explainer)))
    return made, explainer


async def test_it_is_asked_of_the_explainer_and_answered_as_the_model_s():
    made, explainer = explaining()
    made.check_explains("m")
    answer = await made.explain(call(tensor(ROW), id="7", parameters={"seed": 3}))
    assert [(one.name, one.data.tolist()) for one in answer.outputs] == [
        ("why", [[100, 200]]),
        ("how", ROW),
    ]
    assert (answer.model, answer.version, answer.id) == ("m", "2", "7")
    ((inputs, parameters),) = explainer.seen
    assert inputs["x"].tolist() == ROW
    assert parameters == {"seed": 3, "_version": "2", "_seconds": 60.0}


async def test_it_counts_as_the_explainer_s_request_and_takes_no_place_of_the_model_s():
    made, _ = explaining()
    await made.explain(call(tensor(ROW)))
    assert heard(made).requests == [("why-m", "1", "")]
    assert [one.verb for one in heard(made).calls] == ["explain"]
    assert made.directory.model("m").versions["2"].counters.success.count == 0
    assert made.directory.model("why-m").pending == 0


async def test_explanations_that_wait_hold_up_no_prediction():
    """By count: the explainer's queue is full, the model's is as it was."""
    made, _ = explaining(seconds=0.2)
    first = asyncio.create_task(made.explain(call(tensor(ROW))))
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded, match="model 'why-m' has 1 requests waiting"):
        await made.explain(call(tensor(ROW)))
    assert made.directory.model("m").pending == 0
    for _ in range(5):
        await made.infer(call(tensor(ROW)))
    assert not first.done()
    await first


async def test_the_version_and_the_outputs_that_are_asked_for():
    made, explainer = explaining()
    answer = await made.explain(call(tensor(ROW), version="1", outputs=["how"]))
    assert [one.name for one in answer.outputs] == ["how"]
    assert (answer.version, explainer.seen[0][1]["_version"]) == ("1", "1")


async def test_its_time_limit_goes_with_it():
    made, explainer = explaining()
    await made.explain(call(tensor(ROW), parameters={"timeout": 2_000_000}))
    assert explainer.seen[0][1]["_seconds"] == 2.0


@pytest.mark.parametrize(
    ("options", "asked", "kind", "message"),
    [
        ({"error": ModelFailed("it broke")}, {}, ModelFailed, r"it broke \(request id 7\)"),
        ({"seconds": 5}, {"parameters": {"timeout": 1}}, DeadlineExceeded, "no answer within"),
        ({}, {"parameters": {"timeout": "x"}}, InvalidArgument, "microseconds"),
        ({}, {"version": "9"}, NotFound, "no version '9'"),
        ({}, {"model": "n"}, NotFound, "no model 'n'"),
    ],
)
async def test_what_goes_wrong_does_as_in_a_prediction(options, asked, kind, message):
    made, _ = explaining(**options)
    with pytest.raises(kind, match=message):
        await made.explain(call(tensor(ROW), id="7", **asked))
    assert len(heard(made).calls) == 1  # it is counted and logged, once
    assert all(model.pending == 0 for model in made.directory.models.values())


async def test_inputs_that_the_model_doesnt_take_never_reach_the_explainer():
    made, explainer = explaining()
    for wrong in (tensor(ROW, "z"), tensor([[1.0]])):
        with pytest.raises(InvalidArgument, match=r"tensor '[xz]'"):
            await made.explain(call(wrong))
    assert explainer.seen == []


@pytest.mark.parametrize("method", ["shap", "integratedGradients"])
async def test_what_reads_files_explains_the_version_whose_they_are(method):
    made, explainer = explaining(method, versions=("1", "3"))
    answer = await made.explain(call(tensor(ROW), version="1"))
    assert answer.version == "1"
    with pytest.raises(NotFound, match="version 2 of model 'm' has no explainer: 'why-m' has 1, 3"):
        await made.explain(call(tensor(ROW)))
    assert len(explainer.seen) == 1


async def test_an_explainer_that_isnt_there_yet():
    made = plane()
    served(made)
    made.directory.explainers["app"] = "why-m", "m"
    made.directory.expect("why-m", "app", "its application is DEPLOYING")
    made.check_explains("m")
    with pytest.raises(Unavailable, match="its application is DEPLOYING"):
        await made.explain(call(tensor(ROW)))


async def test_a_model_without_an_explainer_says_so():
    made = plane()
    served(made)
    with pytest.raises(Unsupported, match="no explainer: an application with `explains: m`"):
        made.check_explains("m")
    with pytest.raises(Unsupported, match="no explainer"):
        await made.explain(call(tensor(ROW)))
    with pytest.raises(NotFound):
        made.check_explains("n")


def test_of_several_the_first_by_the_application_s_name():
    made, _ = explaining()
    made.directory.explainers["aaa"] = "other", "m"
    assert made.directory.explainer("m") == "other"
    assert made.directory.explainer("why-m") == ""


def test_batches_of_one_explanation_go_to_one_version_where_requests_are_shared():
    """Of an explainer that is asked by its own name: nobody chose a version for it."""
    made = plane()
    served(made)
    assert one_of(made.directory, "m", "") == ""
    made.directory.models["m"].direct(None, Traffic.model_validate({"weights": {"1": 60, "2": 40}}))
    assert {one_of(made.directory, "m", "") for _ in range(10)} == {"1"}
    assert one_of(made.directory, "m", "2") == "2"
