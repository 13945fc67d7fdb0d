"""A Router's models as Serve's status changes, and beside inline ones of their names; without Ray."""

import asyncio

import pytest

from serve_app.deployments import conductor
from serve_app.errors import NotFound, Unavailable
from serve_app.releases.reconcile import DOWN_GRACE_S
from tests.unit.deployments.conducted import app, double, failing, settled
from tests.unit.held import soon
from tests.unit.planes import Backend


async def test_an_application_is_asked_and_serves_until_it_is_gone(it):
    it.asked.versions["m"] = ("1", "2")
    await it.follow(app())
    assert await it.answer("m") == 12
    await it.follow(app(running=3))
    assert len(it.asked.apps) == 1  # only scaled
    await it.follow(app(stamp=2.0))
    assert len(it.asked.apps) == 2
    await it.follow()
    assert it.index() == []


async def test_an_explainer_is_one_from_when_it_is_expected_until_it_is_gone(it):
    explainer = it.plane.directory.explainer
    held = it.asked.hold("why")
    it.look(app(), app("why", explains="m"))
    await settled()
    assert explainer("m") == "why"
    held.set_result(None)
    await it.follow(app(), app("why", explains="n", stamp=2.0))
    assert (explainer("m"), explainer("n")) == ("", "why")
    await it.follow(app())
    assert explainer("n") == ""


async def test_one_that_doesnt_answer_is_asked_again_at_the_next_look(it):
    it.asked.hold("m").set_exception(Unavailable("not yet"))
    await it.follow(app())
    assert it.index() == [("m", "", "UNAVAILABLE")]
    it.asked.held.clear()
    await it.follow(app())
    assert await it.answer("m") == 11


async def test_a_bug_in_the_asking_leaves_nobody_waiting_and_is_the_reason(it):
    it.asked.hold("m").set_exception(RuntimeError("a bug"))
    await it.follow(app())
    await it.follow(app(), app("n"))
    assert await it.answer("n") == 11
    with pytest.raises(Unavailable, match="its application is RUNNING: RuntimeError: a bug"):
        await it.answer("m")
    it.asked.held.clear()
    await it.follow(app(), app("n"))
    assert await it.answer("m") == 11


async def test_what_it_says_of_itself_may_not_be_servable(it, monkeypatch):
    it.asked.versions["m"] = ("not a number",)
    await it.follow(app(), app("n"))
    await it.follow(app(), app("n"))
    assert await it.answer("n") == 11
    with pytest.raises(Unavailable, match="its application is RUNNING: ValueError"):
        await it.answer("m")
    it.asked.versions.clear()
    await it.follow(app(), app("n"))
    assert await it.answer("m") == 11


async def test_an_application_deleted_while_it_is_asked(it):
    held = it.asked.hold("m")
    it.look(app())
    await settled()
    it.look()
    held.set_result(None)
    await soon(it.conductor.described())
    assert it.index() == []


async def test_an_application_deployed_again_while_it_is_asked(it):
    held = it.asked.hold("m")
    it.look(app())
    await settled()
    it.look(app(stamp=2.0, running=2))
    held.set_result(None)
    await soon(it.conductor.described())
    await settled()
    assert [one.stamp for one in it.asked.apps] == [1.0, 2.0]
    assert it.index() == [("m", "1", "READY")]


async def test_an_application_that_gets_another_model(it):
    await it.follow(app(), app("n"))
    await it.follow(app(stamp=2.0, model="other"), app("n"))
    assert it.index() == [("n", "1", "READY"), ("other", "1", "READY")]
    await it.follow(app("n"))
    assert it.index() == [("n", "1", "READY")]


async def test_an_application_that_gets_another_model_before_it_answers(it):
    await it.follow(app(status="DEPLOYING", running=0))
    assert it.index() == [("m", "", "UNAVAILABLE")]
    await it.follow(app(status="DEPLOYING", running=0, stamp=2.0, model="other"))
    assert it.index() == [("other", "", "UNAVAILABLE")]


async def test_an_application_that_gets_another_model_and_fails(it):
    await it.follow(app())
    await it.follow(app(stamp=2.0, model="other", status="DEPLOY_FAILED", running=0, message="no"))
    assert it.index() == [("other", "", "UNAVAILABLE")]


async def test_an_application_that_gets_another_model_while_it_is_asked(it):
    held = it.asked.hold("m")
    it.look(app())
    await settled()
    it.look(app(stamp=2.0, model="other"))
    held.set_result(None)
    await soon(it.conductor.described())
    await settled()
    assert it.index() == [("other", "1", "READY")]


async def test_two_applications_of_one_model_and_one_is_removed(it):
    it.asked.versions["next"] = ("2",)
    both = app(), app("next", model="m")
    await it.follow(*both)
    assert (await it.answer("m"), await it.answer("m", "1")) == (12, 11)
    await it.follow(both[0])
    assert await it.answer("m") == 11
    with pytest.raises(NotFound):
        await it.answer("m", "2")
    await it.follow(*both)
    await it.follow(both[1])
    assert it.index() == [("m", "2", "READY")]


async def test_one_of_two_fails_and_the_other_answers(it):
    it.asked.versions["next"] = ("2",)
    await it.follow(app(), app("next", model="m"))
    await it.follow(app(), app("next", model="m", status="DEPLOY_FAILED", running=0))
    assert await it.answer("m") == 11
    with pytest.raises(Unavailable):
        await it.answer("m", "2")
    await it.follow(app(), app("next", model="m"))
    assert await it.answer("m", "2") == 12


async def test_replicas_that_are_gone_too_long_and_come_back(it, monkeypatch):
    now = 100.0
    monkeypatch.setattr(conductor.time, "monotonic", lambda: now)
    await it.follow(app())
    down = app(status="UNHEALTHY", running=0)
    it.look(down)
    assert it.plane.model_ready("m")
    now += DOWN_GRACE_S + 1
    it.look(down)
    assert not it.plane.model_ready("m")
    await it.follow(app())
    assert it.plane.model_ready("m")


# Beside inline models.


async def test_an_inline_model_takes_an_applications_name_and_gives_it_back(it):
    await it.follow(app("a"))
    await it.serve()
    assert await it.answer() == 11
    await it.serve(double())
    assert await it.answer() == 2
    assert it.index() == [("a", "1", "READY")]
    await it.serve()
    await soon(it.conductor.described())
    assert await it.answer() == 11
    assert it.index() == [("a", "1", "READY")]
    assert len(it.asked.apps) == 2  # once each time


async def test_an_inline_model_takes_the_name_of_an_application_that_is_asked(it):
    held = it.asked.hold("a")
    it.look(app("a"))
    await it.serve(double())
    held.set_result(None)
    await soon(it.conductor.described())
    assert await it.answer() == 2
    await it.follow(app("a"))
    assert await it.answer() == 2
    assert it.index() == [("a", "1", "READY")]


async def test_an_inline_model_that_fails_leaves_its_name_to_the_application(it):
    await it.follow(app("a"))
    await it.serve(failing())
    assert await it.answer() == 11
    await it.serve()
    assert await it.answer() == 11
    assert it.index() == [("a", "1", "READY")]


async def test_what_waits_for_an_application_isnt_lost_when_an_inline_model_takes_its_name(it):
    class Held(Backend):
        go = asyncio.Event()

        async def predict(self, version, inputs, parameters):
            await self.go.wait()
            return await super().predict(version, inputs, parameters)

    it.asked.backends["a"] = Held()
    await it.follow(app("a"))
    waiting = [asyncio.create_task(it.answer()) for _ in range(3)]  # of which it takes one at a time
    await settled()
    await it.serve(double())
    Held.go.set()
    assert await soon(asyncio.gather(*waiting)) == [11, 11, 11]


async def test_an_application_that_fails_to_change_goes_on_and_says_why(it):
    await it.follow(app())
    refused = {"status": "DEPLOY_FAILED", "message": "no such file", "versions": ("2",)}
    await it.follow(app(stamp=2.0, **refused))
    assert await it.answer("m") == 11
    reason = "a change was refused: its application is DEPLOY_FAILED: no such file"
    rows = [(row["version"], row["state"], row["reason"]) for row in it.plane.repository_index()]
    assert rows == [("1", "READY", reason), ("2", "UNAVAILABLE", reason)]
    with pytest.raises(Unavailable, match=r"version 2 was refused: .*no such file"):
        await it.answer("m", "2")
    await it.follow(app(stamp=3.0, status="DEPLOYING"))  # until it is known that it is better
    assert it.plane.directory.refusals()["m"]
    await it.follow(app(stamp=3.0))
    assert it.plane.directory.refusals() == {"m": ""}


async def test_a_replica_that_refuses_its_user_config_is_heard_until_it_takes_one(it):
    it.asked.refused["m"] = "user_config.batchin: unknown key"
    await it.follow(app())
    await it.follow(app(running=2))  # a look that asks nobody
    assert it.plane.directory.refusals() == {"m": "user_config.batchin: unknown key"}
    assert it.plane.changes()["applications"]["m"]["refused"] == "user_config.batchin: unknown key"
    it.asked.refused.clear()
    await it.follow(app(stamp=2.0))
    assert it.plane.directory.refusals() == {"m": ""}
