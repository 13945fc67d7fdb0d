"""Which version answers a call where traffic is configured."""

from collections import Counter

import pytest

from serve_app.config import Traffic
from serve_app.core.call import Call, Headers
from serve_app.core.cold import ANY, UNKNOWN
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Model
from serve_app.core.version import State
from serve_app.errors import NotFound, Unavailable
from serve_app.protocol.metadata import ModelDescription
from tests.unit.planes import Backend, call, description, plane, serve, served, tensor

ROW = [[1.0, 2.0]]


def traffic(**said) -> Traffic:
    return Traffic.model_validate(said)


def split(model: Model, **said) -> None:
    model.direct(None, traffic(**said))


@pytest.fixture
def it() -> DataPlane:
    made = plane()
    served(made, versions=("1", "2", "3"))
    return made


async def answered(it: DataPlane, **extra) -> str:
    return (await it.infer(call(tensor(ROW), **extra))).version


async def test_calls_that_name_none_are_shared(it):
    split(it.directory.model("m"), weights={"1": 75, "2": 25, "3": 0})
    seen = Counter([await answered(it) for _ in range(400)])
    assert seen == pytest.approx({"1": 300, "2": 100}, abs=4)


async def test_a_call_that_names_one_gets_it(it):
    split(it.directory.model("m"), weights={"1": 100, "3": 0})
    assert await answered(it, version="3") == "3"
    with pytest.raises(NotFound, match="no version '7'"):
        await answered(it, version="7")


@pytest.mark.parametrize(
    "pairs", [[(b"x-user", b"ann")], [("x-user", "ann")], [(b"accept", b"*/*"), (b"x-user", b"ann")]]
)
async def test_one_user_gets_one_version_whatever_the_transport(it, pairs):
    model = it.directory.model("m")
    split(model, weights={"1": 50, "2": 50}, sticky={"header": "X-User"})
    assert model.split is not None
    seen = {await answered(it, headers=Headers(pairs)) for _ in range(10)}
    assert seen == {model.split.of("ann")}


async def test_by_a_parameter_an_input_and_a_principal(it):
    model = it.directory.model("m")
    split(model, weights={"1": 50, "2": 50}, sticky={"parameter": "user"})
    assert model.split is not None
    seen = {await answered(it, parameters={"user": 17}) for _ in range(10)}
    assert seen == {model.split.of("17")}
    split(model, weights={"1": 50, "2": 50}, sticky={"input": "x"})
    assert len({await answered(it) for _ in range(10)}) == 1
    split(model, weights={"1": 100}, match=[{"principal": "ann", "version": "3"}])
    asked = call(tensor(ROW))
    asked.principal = "ann"
    assert (await it.infer(asked)).version == "3"


async def test_what_is_asked_of_the_model_is_asked_of_the_one_with_most(it):
    model = it.directory.model("m")
    split(model, weights={"1": 90, "3": 10})
    assert model.pick().number == "1"
    assert it.model_ready("m")


async def test_a_version_that_is_not_ready_gets_nothing(it):
    model = it.directory.model("m")
    split(model, weights={"1": 50, "2": 50})
    model.versions["2"].unavailable("its replicas are gone")
    model._settled()
    assert {await answered(it) for _ in range(10)} == {"1"}
    model.versions["2"].ready()
    model._settled()
    assert {await answered(it) for _ in range(10)} == {"1", "2"}


async def test_where_none_that_has_traffic_is_ready_calls_are_refused_and_it_is_said(it):
    model = it.directory.model("m")
    split(model, weights={"7": 100})
    with pytest.raises(Unavailable, match="no version that traffic gives requests to is ready"):
        await answered(it)
    assert not it.model_ready("m")
    assert "traffic gives requests to" in it.why("m")
    assert "version '7'" in it.directory.refusals()["m"]
    (row,) = [one for one in it.repository_index() if one["version"] == "7"]
    assert (row["state"], "isn't loaded; it has 1, 2, 3" in row["reason"]) == ("UNAVAILABLE", True)
    assert await answered(it, version="1") == "1"


async def test_a_missing_one_is_said_while_others_answer(it):
    split(it.directory.model("m"), weights={"1": 99, "9": 1})
    assert {await answered(it) for _ in range(200)} == {"1"}
    assert "its requests go to others" in it.directory.refusals()["m"]
    assert it.model_ready("m")


async def test_a_later_version_changes_nothing_for_the_others(it):
    """A deploy that only brings a version gives it no requests."""
    model = it.directory.model("m")
    split(model, weights={"1": 100})
    serve(model, Backend(), description(versions=("1", "2", "3", "4")))
    assert {await answered(it) for _ in range(10)} == {"1"}


async def test_without_traffic_the_newest_again(it):
    model = it.directory.model("m")
    split(model, weights={"1": 100})
    model.direct(None, None)
    assert await answered(it) == "3"


async def test_the_same_traffic_again_keeps_its_turn(it):
    model = it.directory.model("m")
    split(model, weights={"1": 50, "2": 50})
    before = model.split
    split(model, weights={"1": 50, "2": 50})
    assert model.split is before


async def test_a_model_that_is_not_in_memory_is_loaded_first():
    made = plane()
    model = made.directory.expect("m", "")
    model.serve("", ModelDescription("m", "python", {ANY: UNKNOWN}), {})
    split(model, weights={"1": 100, "2": 0})

    async def renew(gone) -> bool:
        serve(model, Backend(), description("m"))
        return True

    made.look_for_successors(renew)
    assert made.model_ready("m")
    assert await answered(made) == "1"
    assert model.versions["2"].state is State.READY


async def test_after_a_version_is_gone_the_call_is_shared_anew(it):
    """`again` picks by the same rules."""
    model = it.directory.model("m")
    split(model, weights={"1": 50, "2": 50}, sticky={"header": "u"})
    asked = Call(call(tensor(ROW)).request, Headers([("u", "ann")]))
    first = model.pick("", asked).number
    model.versions[first].unavailable("gone")
    model._settled()
    assert model.pick("", asked).number != first


async def test_what_an_edge_chose_stays_until_it_is_gone(it):
    model = it.directory.model("m")
    split(model, weights={"1": 50, "2": 50})
    asked = call(tensor(ROW))
    asked.version = model.versions["3"]
    assert (await it.infer(asked)).version == "3"
    asked = call(tensor(ROW))
    asked.version = model.versions["1"]
    serve(model, Backend(), description(versions=("2", "3")))
    assert (await it.infer(asked)).version == "2"
