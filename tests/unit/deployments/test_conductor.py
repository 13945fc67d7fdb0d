"""A Router's inline models as its configuration changes, without Ray."""

import asyncio

import pytest

from serve_app.errors import NotFound, Unavailable
from tests.unit.deployments.conducted import app, double, failing, settled, slow, unwanted
from tests.unit.held import soon
from tests.unit.models import Slow
from tests.unit.planes import call


async def test_models_are_loaded_changed_and_dropped(it):
    await it.serve(double("a"), double("b", 3))
    assert [await it.answer("a"), await it.answer("b")] == [2, 3]
    assert it.conductor.generation == 1
    await it.serve(double("a", 5))
    assert await it.answer("a") == 5
    with pytest.raises(NotFound):
        await it.answer("b")
    assert it.index() == [("a", "1", "READY")]
    assert [[one.name for one in config.models] for config in it.adopted] == [["a", "b"], ["a"]]
    await unwanted(it)


async def test_a_router_starts_with_models_that_fail(it):
    await it.serve(failing("a"), double("b"))
    with pytest.raises(Unavailable, match="OSError: the disk is gone"):
        await it.answer("a")
    assert await it.answer("b") == 2
    assert it.index() == [("a", "", "UNAVAILABLE"), ("b", "1", "READY")]


async def test_a_router_without_models_serves_its_configuration_at_once(it):
    await it.serve(limits={"maxQueuedRequests": 7})
    assert len(it.adopted) == 1
    await it.follow(app())
    assert it.plane.directory.model("m").max_queued == 7


async def test_what_failed_is_tried_again_with_the_next_configuration_though_it_be_the_same(it, gate):
    gate.set()
    Slow.failing["a"] = OSError("not yet")
    await it.serve(slow())
    with pytest.raises(Unavailable, match="not yet"):
        await it.answer()
    await unwanted(it)
    it.conductor.turn()
    assert not it.conductor.background.tasks  # not by itself
    Slow.failing.clear()
    await it.serve(slow())
    assert await it.answer() == 2


async def test_the_same_configuration_again_while_a_model_fails_to_load(it, gate):
    Slow.failing["a"] = OSError("not yet")
    it.configure(slow())
    await settled()
    it.configure(slow())
    gate.set()
    await soon(it.conductor.adopted())
    assert it.conductor.generation == 2
    with pytest.raises(Unavailable, match="not yet"):
        await it.answer()


async def test_one_that_fails_to_change_goes_on_as_it_was(it, gate):
    await it.serve(double())
    Slow.failing["a"] = OSError("broken")
    gate.set()
    await it.serve(slow())
    assert await it.answer() == 2
    await it.serve(double())
    assert await it.answer() == 2
    await unwanted(it)


async def test_a_configuration_that_changes_while_a_model_loads(it, gate):
    it.configure(slow(by=3))
    await settled()
    it.configure(slow(by=4), routing={"a": {"defaultVersion": "1"}})
    assert it.conductor.generation == 0
    gate.set()
    await soon(it.conductor.adopted())
    assert await it.answer() == 4
    assert len(it.adopted) == 1  # the first was never served
    assert it.plane.directory.model("a").default_version == "1"
    await unwanted(it)


async def test_one_that_goes_and_comes_back_while_it_loads_is_loaded_once(it, gate):
    it.configure(slow())
    await settled()
    it.configure()
    it.configure(slow())
    gate.set()
    await soon(it.conductor.adopted())
    assert await it.answer() == 2
    assert it.conductor.generation == 3


async def test_a_model_that_is_removed_while_it_loads(it, gate):
    it.configure(slow(), double("b"))
    await settled()
    it.configure(double("b"))
    gate.set()
    await soon(it.conductor.adopted())
    assert it.index() == [("b", "1", "READY")]
    await unwanted(it)
    assert it.conductor.inline.hosts.keys() == {"b"}


async def test_a_model_that_is_removed_while_it_fails_to_load(it, gate):
    Slow.failing["a"] = OSError("broken")
    it.configure(slow())
    await settled()
    it.configure()
    gate.set()
    await soon(it.conductor.adopted())
    assert it.index() == []


async def test_a_load_that_ends_in_a_cancellation_holds_up_nothing(it, gate):
    Slow.failing["a"] = asyncio.CancelledError()
    gate.set()
    await it.serve(slow(), double("b"))
    with pytest.raises(Unavailable, match="model 'a' version 1: CancelledError"):
        await it.answer()
    assert await it.answer("b") == 2


async def test_a_folder_that_cant_be_read_holds_up_nothing(it, monkeypatch):
    def unreadable(folder, policy):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("serve_app.repository.storage.candidates", unreadable)
    await it.serve(double("a", storageUri="file:///tmp"), double("b"))
    with pytest.raises(Unavailable, match="model 'a': PermissionError"):
        await it.answer()
    assert await it.answer("b") == 2


async def test_routes_and_limits_hold_when_the_models_were_tried_and_for_all_at_once(it, gate):
    it.asked.versions["m"] = ("1", "2")
    it.configure(slow(), routing={"m": {"defaultVersion": "1"}})
    await it.follow(app())
    assert await it.answer("m") == 12
    gate.set()
    await soon(it.conductor.adopted())
    assert await it.answer("m") == 11


async def test_a_replaced_model_answers_what_it_has_before_it_is_closed(it, monkeypatch):
    closed = []
    monkeypatch.setattr("tests.unit.models.Double.close", lambda self: closed.append(self.by))
    await it.serve(double())
    model = it.plane.directory.model("a")
    model.admit(version := model.pick(), call())
    await it.serve(double(by=3))
    await asyncio.sleep(0.05)
    assert closed == []
    model.leave(version)
    await unwanted(it)
    assert closed == [2]


def reasons(it) -> list[tuple[str, str, str]]:
    """Of the index: version, state, reason."""
    return [(row["version"], row["state"], row["reason"]) for row in it.plane.repository_index()]


async def test_a_version_that_cannot_load_is_said_beside_the_one_that_serves(it, gate):
    await it.serve(double())
    Slow.failing["a"] = OSError("the disk is gone")
    gate.set()
    await it.serve({**slow(), "versions": ["3"]})
    (one, three) = reasons(it)
    assert one[:2] == ("1", "READY")
    assert three[:2] == ("3", "UNAVAILABLE")
    assert "model 'a' version 3: OSError: the disk is gone" in one[2]
    assert one[2] == three[2]
    assert await it.answer() == 2
    with pytest.raises(Unavailable, match="the disk is gone"):
        await it.answer(version="3")


@pytest.mark.parametrize("by", [2, 5])  # what it was, and another one
async def test_a_refusal_goes_when_a_later_change_is_accepted(it, gate, by):
    await it.serve(double())
    await it.serve({**failing(), "versions": ["3"]})
    assert it.plane.directory.refusals()["a"]
    await it.serve(double(by=by))
    assert reasons(it) == [("1", "READY", "")]
    assert it.plane.directory.refusals() == {"a": ""}


async def test_a_configuration_that_is_refused_whole_is_said_at_every_inline_model(it):
    await it.serve(double("a"), double("b"))
    await it.follow(app())
    it.conductor.refuse("user_config.limitz: unknown key")
    refused = "a change was refused: user_config.limitz: unknown key"
    assert reasons(it) == [("1", "READY", refused), ("1", "READY", refused), ("1", "READY", "")]
    assert it.plane.directory.refused == "user_config.limitz: unknown key"
    await it.serve(double("a"), double("b"))
    assert [row[2] for row in reasons(it)] == ["", "", ""]
    assert it.plane.directory.refused == ""


async def test_a_configuration_refused_while_another_is_loaded_stays_refused(it, gate):
    it.configure(slow())
    await settled()
    it.conductor.refuse("user_config: wrong")
    gate.set()
    await soon(it.conductor.adopted())
    assert it.plane.directory.refusals() == {"a": "user_config: wrong"}


async def test_a_model_that_fails_again_says_the_last_reason(it, gate):
    await it.serve(double())
    Slow.failing["a"] = OSError("first")
    gate.set()
    await it.serve(slow())
    Slow.failing["a"] = OSError("second")
    await it.serve(slow(by=3))
    assert "second" in it.plane.directory.refusals()["a"]


async def test_how_far_a_router_is(it, gate):
    await it.serve(double("a"), double("b"))
    await it.follow(app())
    it.configure(slow("a"), double("b"))
    await settled()
    under_way = it.plane.changes()
    assert (under_way["settled"], under_way["generation"]) == (False, 1)
    gate.set()
    await soon(it.conductor.adopted())
    done = it.plane.changes()
    assert (done["settled"], done["generation"]) == (True, 2)
    assert done["loaded"] == {"a": 2, "b": 1}  # what didn't change wasn't loaded again
    assert done["applications"] == {"m": {"deployed": 1.0, "refused": "", "loaded": 0.0}}
    await it.serve(double("b"))
    await it.follow(app())  # as long as Serve wasn't looked at, it may be the name of an application now
    assert it.plane.changes()["loaded"] == {"b": 1}


# A deploy that says what was said before: what changed on disk is loaded.


def deployed(it, at: float) -> None:
    it.conductor.follow({}, deployed=at)


async def test_a_deploy_loads_a_model_whose_files_changed(it, tmp_path):
    files = [tmp_path / name for name in ("a", "b")]
    for folder in files:
        folder.mkdir()
    await it.serve(*[double(folder.name, storageUri=str(folder)) for folder in files])
    deployed(it, 1.0)
    hosts = dict(it.conductor.inline.hosts)
    (files[0] / "weights").write_text("new")
    deployed(it, 1.0)
    await unwanted(it)
    assert it.conductor.inline.hosts == hosts  # nobody has deployed
    deployed(it, 2.0)
    await unwanted(it)
    assert it.conductor.inline.hosts["a"] is not hosts["a"]
    assert it.conductor.inline.hosts["b"] is hosts["b"]
    assert await it.answer("a") == 2
    files[0].rename(tmp_path / "gone")
    deployed(it, 3.0)
    await unwanted(it)
    assert await it.answer("a") == 2  # the old one stays
    (tmp_path / "gone").rename(files[0])
    deployed(it, 4.0)
    await unwanted(it)
    assert not it.conductor._actual.stale


async def test_a_deploy_tries_what_couldnt_be_loaded(it, gate):
    gate.set()
    Slow.failing["a"] = OSError("not yet")
    await it.serve(slow())
    deployed(it, 1.0)
    Slow.failing.clear()
    deployed(it, 1.0)
    await unwanted(it)
    with pytest.raises(Unavailable):
        await it.answer()
    deployed(it, 2.0)
    await unwanted(it)
    assert await it.answer() == 2
