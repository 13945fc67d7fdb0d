"""A Router's models, version by version: one that comes, changes or breaks is nobody else's affair."""

import pytest

from serve_app.errors import Unavailable
from tests.unit.deployments.conducted import Setup, app, unwanted
from tests.unit.held import soon
from tests.unit.runtimes.test_versions_apart import write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "1", "10")
    write(tmp_path, "2", "20")
    return tmp_path


def model(folder, **more) -> dict:
    times = "tests.unit.runtimes.test_versions_apart:Times"
    return {"name": "a", "modelFormat": "python", "class": times, "storageUri": str(folder), **more}


async def deployed(it: Setup) -> None:
    """Again, with what lies on disk by now."""
    it.conductor._deployed += 1
    it.conductor.follow({}, deployed=it.conductor._deployed + 1)
    await unwanted(it)
    await soon(it.conductor.adopted())


async def test_only_the_version_that_comes_is_loaded(it: Setup, folder):
    await it.serve(model(folder))
    before = dict(it.plane.directory.model("a").versions)
    assert await it.answer() == 20
    write(folder, "3", "30")
    await deployed(it)
    now = it.plane.directory.model("a").versions
    assert [now[number] is before[number] for number in "12"] == [True, True]
    assert (await it.answer(), await it.answer("a", "1")) == (30, 10)
    assert now["2"].counters.executions == 1


async def test_a_deploy_isnt_done_before_it_has_looked_at_files(it: Setup, folder):
    """Or a file that was mended would be told as refused yet."""
    it.conductor.follow({}, deployed=1.0)
    write(folder, "2", "broken")
    await it.serve(model(folder))
    assert it.plane.changes()["deployed"] == 1.0
    write(folder, "2", "20")
    it.conductor.follow({}, deployed=2.0)
    told = it.plane.changes()
    assert (told["deployed"], "ValueError" in told["models"]["a"]) == (1.0, True)
    await unwanted(it)
    await soon(it.conductor.adopted())
    told = it.plane.changes()
    assert (told["deployed"], told["settled"], told["models"]["a"]) == (2.0, True, "")


async def test_a_version_that_breaks_is_unavailable_beside_its_siblings(it: Setup, folder):
    write(folder, "2", "broken")
    await it.serve(model(folder), model(folder, name="b", versions=["1"]))
    assert it.index() == [("a", "1", "READY"), ("a", "2", "UNAVAILABLE"), ("b", "1", "READY")]
    assert await it.answer() == 10
    with pytest.raises(Unavailable, match="version 2 was refused: model 'a' version 2: ValueError"):
        await it.answer("a", "2")
    assert it.plane.changes()["models"]["b"] == ""
    assert "version 2: ValueError" in it.plane.changes()["models"]["a"]
    it.configure(model(folder), generation=7)  # what isn't about it leaves it as it is
    await soon(it.conductor.adopted())
    assert ("a", "2", "UNAVAILABLE") in it.index()
    write(folder, "2", "22")
    await deployed(it)
    assert it.index() == [("a", "1", "READY"), ("a", "2", "READY")]
    assert it.plane.changes()["models"]["a"] == ""
    assert await it.answer() == 22


async def test_a_version_that_is_changed_for_the_worse_goes_on_as_it_was(it: Setup, folder):
    await it.serve(model(folder))
    write(folder, "1", "broken")
    write(folder, "3", "30")
    await deployed(it)
    reasons = {row["version"]: row["reason"] for row in it.plane.repository_index()}
    assert (reasons["2"], reasons["3"]) == ("", "")
    assert reasons["1"].startswith("a change was refused: model 'a' version 1: ValueError")
    assert [await it.answer("a", number) for number in "123"] == [10, 20, 30]


async def test_an_application_says_which_of_its_versions_it_lacks(it: Setup):
    it.asked.versions["m"], it.asked.failed["m"] = ("1", "2"), {"3": "model 'm' version 3: no weights"}
    await it.follow(app())
    assert it.index() == [("m", "1", "READY"), ("m", "2", "READY"), ("m", "3", "UNAVAILABLE")]
    assert await it.answer("m") == 12
    assert "no weights" in it.plane.changes()["applications"]["m"]["refused"]
    it.asked.refused["m"] = "model 'm' version 3: no weights"  # nothing else was to come
    await it.follow(app(stamp=1.5))
    assert it.index() == [("m", "1", "READY"), ("m", "2", "READY"), ("m", "3", "UNAVAILABLE")]
    it.asked.versions["m"], it.asked.failed["m"], it.asked.refused = ("1", "2", "3"), {}, {}
    await it.follow(app(stamp=2.0))
    assert it.index()[-1] == ("m", "3", "READY")
    assert it.plane.changes()["applications"]["m"]["refused"] == ""
