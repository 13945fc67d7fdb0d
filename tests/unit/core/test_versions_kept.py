"""What a model's source says anew leaves the versions alone that are what they were."""

import asyncio

from serve_app.core.directory import INLINE, Directory, Model
from serve_app.core.observer import Observers
from serve_app.core.version import State
from tests.unit.core.test_directory import Held
from tests.unit.planes import Backend, call, description, plane, served, targets, tensor

ROW = [[1.0, 2.0]]


def of(model: Model, backends: dict[str, object], **extra) -> list:
    """Versions, each of the backend given."""
    return model.serve(INLINE, description(versions=tuple(backends), **extra), dict(backends), 1)


def make() -> tuple[Model, dict]:
    model = Directory(Observers()).expect("m", INLINE)
    some = targets(Backend())
    of(model, some, max_batch_size=4)
    return model, some


def test_a_version_that_comes_leaves_the_others_their_queues():
    model, some = make()
    before = dict(model.versions)
    some |= targets(Backend(), ("3",))
    assert of(model, some, max_batch_size=4) == []
    assert {number: model.versions[number] is before[number] for number in "12"} == {
        "1": True,
        "2": True,
    }
    assert model.versions["3"].state is State.READY


def test_one_that_is_another_takes_the_place_of_its_own_alone():
    model, some = make()
    before = dict(model.versions)
    some |= targets(Backend(), ("2",))
    assert of(model, some, max_batch_size=4) == [before["2"]]
    assert model.versions["1"] is before["1"]
    assert model.versions["2"] is not before["2"]


def test_one_that_is_described_otherwise_is_another():
    model, some = make()
    before = dict(model.versions)
    assert of(model, some, max_batch_size=8) == list(before.values())


def test_one_that_was_unavailable_answers_again():
    model, some = make()
    model.unavailable(INLINE, "it hangs")
    of(model, some, max_batch_size=4)
    assert (model.ready, model.versions["1"].reason) == (True, "")


async def test_what_waits_in_one_is_answered_while_another_comes():
    p, held = plane(), Held()
    model = served(p, backend=held, max_batch_size=1)
    some = {number: version.target for number, version in model.versions.items()}
    asked = [asyncio.create_task(p.infer(call(tensor(ROW), version="1"))) for _ in range(3)]
    await asyncio.sleep(0)
    waiting = model.versions["1"].waiting
    model.serve(
        INLINE,
        description(versions=("1", "2", "3"), max_batch_size=1),
        some | targets(Backend(), ("3",)),
    )
    assert model.versions["1"].waiting is waiting
    held.go.set()
    assert [one.outputs[0].data[0, 0] for one in await asyncio.gather(*asked)] == [11] * 3
    assert (await p.infer(call(tensor(ROW)))).outputs[0].data[0, 0] == 13
