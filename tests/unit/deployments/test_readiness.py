"""When a Router's server is ready: with Serve's status as it comes, without Ray."""

import pytest

from serve_app.errors import Unavailable
from tests.unit.deployments.conducted import Setup, app, double, failing, settled, slow
from tests.unit.held import soon
from tests.unit.runtimes.test_versions_apart import write
from tests.unit.waiting import until


def building(name: str = "m"):
    return app(name, ingress="", status="DEPLOYING", running=0)


def starting(name: str = "m"):
    return app(name, status="DEPLOYING", running=0)


async def test_not_before_it_has_looked_and_has_a_configuration(it: Setup):
    it.plane.tried = False
    await it.serve()
    assert not it.plane.ready
    await it.follow()
    assert it.plane.ready
    other = Setup()
    other.plane.tried = False
    await other.follow()
    assert not other.plane.ready
    await other.serve()
    assert other.plane.ready


async def test_not_while_an_inline_model_loads(it: Setup, gate):
    it.plane.tried = False
    it.look()
    it.configure(slow(), double("b"))
    await settled()
    assert not it.plane.ready
    gate.set()
    await soon(it.conductor.adopted())
    assert it.plane.ready


async def test_a_version_that_cannot_load_was_tried_and_its_siblings_answer(it: Setup, tmp_path):
    write(tmp_path, "1", "10")
    write(tmp_path, "2", "broken")
    it.plane.tried = False
    it.look()
    times = "tests.unit.runtimes.test_versions_apart:Times"
    await it.serve({"name": "a", "modelFormat": "python", "class": times, "storageUri": str(tmp_path)})
    assert it.plane.ready
    it.plane.strict = True
    assert it.plane.ready  # the model answers, by its version 1
    assert (it.plane.model_ready("a"), it.plane.model_ready("a", "2")) == (True, False)


async def test_an_applications_versions_count_as_it_says(it: Setup):
    it.plane.tried, it.plane.strict = False, True
    it.asked.versions["m"], it.asked.failed["m"] = ("1",), {"2": "no weights"}
    await it.serve()
    await it.follow(app())
    assert it.plane.ready


async def test_one_that_cannot_load_was_tried(it: Setup):
    it.plane.tried = False
    it.look()
    await it.serve(failing(), double("b"))
    assert it.plane.ready
    it.plane.strict = True
    assert not it.plane.ready


async def test_not_while_an_application_starts(it: Setup):
    it.plane.tried = False
    await it.serve()
    for status in (building(), starting()):
        await it.follow(status, app("n"))
        assert not it.plane.ready
        assert await it.answer("n") == 11  # which doesn't keep others from answering
    await it.follow(app(), app("n"))
    assert it.plane.ready


async def test_one_that_runs_but_doesnt_say_what_it_is_hasnt_loaded(it: Setup):
    it.plane.tried = False
    await it.serve()
    it.asked.hold("m").set_exception(Unavailable("not yet"))
    await it.follow(app())
    assert not it.plane.ready
    it.asked.held.clear()
    await it.follow(app())
    assert it.plane.ready


async def test_an_application_that_failed_was_tried(it: Setup):
    it.plane.tried = False
    await it.serve()
    await it.follow(app(status="DEPLOY_FAILED", running=0))
    assert it.plane.ready
    assert not it.plane.model_ready("m")


async def test_later_trouble_is_the_models_own(it: Setup):
    it.plane.tried = False
    await it.serve()
    await it.follow(app())
    for later in (app(status="DEPLOY_FAILED", running=0), starting()):
        await it.follow(later, building("new"))
        assert it.plane.ready
    it.configure(failing())
    assert it.plane.ready


async def test_strictly_all_models_have_to_be_ready(it: Setup):
    it.plane.tried, it.plane.strict = False, True
    await it.serve(double())
    await it.follow(app())
    assert it.plane.ready
    await it.follow(app(status="DEPLOY_FAILED", running=0))
    assert not it.plane.ready
    await it.follow(app(stamp=2.0))
    assert it.plane.ready
    await it.follow(app(stamp=2.0), starting("late"))
    assert not it.plane.ready


async def test_the_first_configuration_may_hold_before_its_models_are_there(it, gate):
    """Each answers as it is loaded; those that wait for their turn are known."""
    it.asked.versions["m"] = ("1", "2")
    it.plane.tried = False
    it.configure(double("b"), slow(), double("c"), routing={"m": {"defaultVersion": "1"}})
    it.conductor.begin()
    await it.follow(app())
    await soon(until(lambda: it.conductor.inline.hosts))
    assert [await it.answer("b"), await it.answer("m")] == [2, 11]
    for name in ("a", "c"):
        with pytest.raises(Unavailable, match="loading"):
            await it.answer(name)
    assert it.conductor.generation == 0
    assert not it.plane.tried
    gate.set()
    await soon(it.conductor.adopted())
    assert [await it.answer("a"), await it.answer("c")] == [2, 2]
    assert it.plane.tried
