"""A version that is gone when its request comes to it: another is chosen, within the time there is."""

import asyncio

import pytest

from serve_app.errors import DeadlineExceeded, Gone, NotFound, Unavailable, VersionGone
from tests.unit.planes import Backend, Raises, call, description, heard, plane, served, targets, tensor

ROW = [[1.0, 2.0]]


def moved(made, versions=("2",), backend=None) -> None:
    """Other versions take the place of those that there were."""
    model = made.directory.model("m")
    model.serve("", description(versions=versions), targets(backend or Backend(), versions))


def gone(error: Exception, hopeful: int, then=moved):
    """A plane whose model's replicas are gone; after `hopeful` waits there is what `then` makes."""
    made, waits = plane(), []

    async def renew(version):
        waits.append(version.number)
        await asyncio.sleep(0)
        if len(waits) == hopeful:
            then(made)
        return len(waits) < hopeful

    made.look_for_successors(renew)
    served(made, backend=Raises(error), versions=("1",))
    return made, waits


@pytest.mark.parametrize("error", [VersionGone("no version '1'"), Gone("no replica")])
@pytest.mark.parametrize("batched", [0, 4])
async def test_another_version_answers(error, batched):
    made, waits = gone(error, 1)
    made.directory.model("m").serve(
        "", description(versions=("1",), max_batch_size=batched), targets(Raises(error), ("1",))
    )
    answer = await made.infer(call(tensor(ROW)))
    assert (answer.version, answer.outputs[0].data.tolist()) == ("2", [[12.0, 22.0]])
    model = made.directory.model("m")
    assert (model.pending, waits) == (0, ["1"])
    assert heard(made).requests == [("m", "2", "")]  # once, for who answered
    assert model.versions["2"].counters.success.count == 1


async def test_it_waits_for_one_and_tries_the_same_meanwhile():
    made, waits = gone(Gone("no replica"), 3)
    assert (await made.infer(call(tensor(ROW)))).version == "2"
    assert waits == ["1", "1", "1"]


async def test_one_that_is_named_and_gone_for_good_isnt_found():
    made, _ = gone(VersionGone("no version '1'"), 1)
    with pytest.raises(NotFound, match="no version '1'; it has 2"):
        await made.infer(call(tensor(ROW), version="1"))
    assert made.directory.model("m").pending == 0
    assert heard(made).requests[0][2] == "NotFound"


async def test_a_model_that_is_gone_for_good_is_unavailable():
    made, _ = gone(Gone("no replica"), 1, lambda made: made.directory.remove("m", ""))
    with pytest.raises(Unavailable, match="no replica"):
        await made.infer(call(tensor(ROW)))
    assert heard(made).requests == [("m", "1", "Unavailable")]


async def test_without_a_successor_it_is_what_the_replicas_said():
    made, _ = gone(VersionGone("no version '1'"), 1, lambda made: None)
    with pytest.raises(NotFound, match="no version '1'"):
        await made.infer(call(tensor(ROW)))
    assert heard(made).requests == [("m", "1", "NotFound")]


async def test_the_request_has_to_fit_who_answers():
    made, _ = gone(VersionGone("no version '1'"), 1)
    answer = await made.infer(call(tensor(ROW), outputs=["z"]))
    assert [one.name for one in answer.outputs] == ["z"]


async def test_the_time_limit_holds():
    made, _ = gone(Gone("no replica"), 10**9)
    made.timeout = 0.05
    with pytest.raises(DeadlineExceeded):
        await made.infer(call(tensor(ROW)))
    assert made.directory.model("m").pending == 0


async def test_a_model_that_comes_back_under_its_name_answers():
    def other(made) -> None:
        made.directory.remove("m", "")
        made.directory.expect("m", "else").serve(
            "else", description(versions=("1",)), targets(Backend(), ("1",))
        )

    made, _ = gone(Gone("no replica"), 1, other)
    assert (await made.infer(call(tensor(ROW)))).outputs[0].data.tolist() == [[11.0, 21.0]]
    assert made.directory.model("m").pending == 0
