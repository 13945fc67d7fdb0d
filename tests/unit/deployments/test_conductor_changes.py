"""A Router's models while replicas and places change: no request is lost; without Ray."""

import asyncio
import dataclasses

import pytest

from serve_app.errors import Gone, NotFound, Unavailable, VersionGone
from tests.unit.deployments.conducted import Setup, app, double, settled, slow, unwanted
from tests.unit.held import soon
from tests.unit.models import Slow
from tests.unit.planes import Backend


class Lost(Backend):
    """Answers until it is gone, as its replicas say or as Serve does."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error

    async def predict(self, version, inputs, parameters):
        if self.error:
            raise self.error
        return await super().predict(version, inputs, parameters)


def rolled_out(it, versions=("2",)):
    """An application whose new replicas have taken over, before Serve's status says so."""
    old = it.asked.backends["m"]
    old.error = VersionGone("no version '1'")
    it.asked.backends["m"], it.asked.versions["m"] = Backend(), versions


async def test_a_version_that_its_replicas_dont_have_any_more_is_chosen_anew(it):
    it.asked.backends["m"] = Lost()
    await it.follow(app())
    assert await it.answer("m") == 11
    changing = app(status="DEPLOYING", stamp=2.0)
    it.look(changing)
    rolled_out(it)
    assert await asyncio.gather(*[it.answer("m") for _ in range(5)]) == [12] * 5
    assert len(it.asked.apps) == 2  # asked once for all of them
    with pytest.raises(NotFound):
        await it.answer("m", "1")
    await it.follow(app(stamp=2.0))
    assert it.index() == [("m", "2", "READY")]


async def test_who_goes_doesnt_say_what_there_is_while_others_come(it):
    it.asked.versions["m"] = ("1",)
    await it.follow(app(replicas=frozenset("a")))
    assert it.index() == [("m", "1", "READY")]
    it.asked.versions["m"], it.asked.replica = ("2",), "a"
    changing = app(status="DEPLOYING", stamp=2.0, running=2, replicas=frozenset("bc"))
    await it.follow(changing)
    assert it.index() == [("m", "1", "READY")]
    it.asked.replica = "b"
    await it.follow(changing)
    assert it.index() == [("m", "2", "READY")]
    await it.follow(changing)
    assert len(it.asked.apps) == 3


async def test_a_remote_model_that_becomes_inline_waits_for_it(it, gate):
    it.asked.backends["a"] = Lost()
    await it.follow(app("a"))
    await it.serve()
    it.conductor.follow({}, changing=True)  # Serve is rid of it, and this Router not yet told
    it.asked.backends["a"].error = Gone("no replica")
    early = asyncio.create_task(it.answer())
    await settled()
    it.configure(slow())
    late = asyncio.create_task(it.answer())
    await settled()
    it.look()
    assert not early.done()
    assert not late.done()
    gate.set()
    assert await soon(asyncio.gather(early, late)) == [2, 2]
    await unwanted(it)
    assert it.index() == [("a", "1", "READY")]
    assert it.plane.directory.model("a").sources == {""}


async def test_what_waits_for_a_deleted_applications_replicas_goes_to_the_inline_model(it):
    class Stuck(Backend):
        waits = asyncio.Event()

        async def predict(self, version, inputs, parameters):
            await self.waits.wait()
            raise Gone("deleted")

    it.asked.backends["a"] = stuck = Stuck()
    it.asked.abandon = stuck.waits.set
    await it.follow(app("a"))
    waiting = asyncio.create_task(it.answer())
    await settled()
    it.conductor.follow({}, changing=True)
    await it.serve(double())
    it.look()
    assert await soon(waiting) == 2


async def test_a_remote_model_that_becomes_an_inline_one_that_fails(it, gate):
    it.asked.backends["a"] = Lost()
    await it.follow(app("a"))
    it.asked.backends["a"].error = Gone("no replica")
    Slow.failing["a"] = OSError("broken")
    it.configure(slow())
    it.look()
    waiting = asyncio.create_task(it.answer())
    await settled()
    gate.set()
    with pytest.raises(Unavailable):
        await soon(waiting)
    it.look()
    with pytest.raises(Unavailable, match="broken"):
        await it.answer()


async def test_an_inline_model_that_becomes_remote_answers_until_that_does(it):
    await it.serve(double())
    it.look()
    await it.serve()
    assert await it.answer() == 2  # Serve's status will say whether an application follows
    built = app("a", status="DEPLOYING", running=0)
    await it.follow(built)
    assert await it.answer() == 2
    await it.follow(dataclasses.replace(built, status="DEPLOY_FAILED", message="no such file"))
    assert await it.answer() == 2
    assert ("a", "", "UNAVAILABLE") in it.index()
    await it.follow(app("a"))
    assert await it.answer() == 11
    assert it.index() == [("a", "1", "READY")]
    await unwanted(it)
    assert not it.conductor.inline.hosts


async def test_an_inline_model_that_is_removed_goes_with_the_next_look(it):
    await it.serve(double())
    it.look()
    await it.serve()
    it.look()
    assert it.index() == []


async def test_replicas_that_run_are_served_whatever_serve_calls_the_application(it):
    await it.follow(app())
    failed = app(status="DEPLOY_FAILED", stamp=2.0, message="args.modelformat: unknown key")
    await it.follow(failed)
    assert await it.answer("m") == 11
    fresh = Setup()
    await fresh.follow(failed)
    assert fresh.index() == [("m", "1", "READY")]
