"""When a change is acknowledged, undone, and what another Steward makes of what one left."""

import asyncio
from dataclasses import replace

import pytest

from serve_app.errors import DeadlineExceeded, InvalidArgument, Unavailable
from serve_app.releases import brought
from serve_app.releases import steward as module
from serve_app.releases.judged import Ack, Failed
from serve_app.releases.ledger import UNDER_WAY, decoded
from serve_app.releases.store import STATE
from tests.unit.releases.stewarded import NEW, OFF, begun, change
from tests.unit.waiting import until


def whole(**models: str) -> dict[str, Failed]:
    return {name: Failed({"": reason}) for name, reason in models.items()}


async def test_it_is_acknowledged_when_every_router_serves_it(world):
    world.routers = {"r1", "r2"}
    steward = world.steward()
    task = await begun(steward)
    await steward.serves("r1", Ack(1))
    await steward.serves("r2", Ack(0))
    await asyncio.sleep(0.05)
    assert not task.done()
    await steward.serves("r2", Ack(1))
    await task
    assert [line["outcome"] for line in world.lines] == [UNDER_WAY, "served"]
    assert decoded(world.store.data[STATE]) == steward.state
    assert steward.state.layer == {"m": OFF}


async def test_a_router_that_is_gone_isnt_waited_for(world):
    world.routers = {"r1", "r2"}
    steward = world.steward()
    task = await begun(steward)
    await steward.serves("r1", Ack(1))
    world.routers.discard("r2")  # killed in the middle of it
    await task


async def test_one_that_came_meanwhile_is(world):
    steward = world.steward()
    task = await begun(steward)
    world.routers.add("r2")
    await steward.serves("r1", Ack(1))
    await asyncio.sleep(0.05)
    assert not task.done()
    await steward.serves("r2", Ack(1))
    await task


async def test_who_doesnt_serve_it_in_time_is_named(world):
    world.routers = {"r1", "r2"}
    steward = world.steward(timeout=0.05)
    task = await begun(steward)
    await steward.serves("r1", Ack(1))
    with pytest.raises(DeadlineExceeded, match=r"not served within 0\.05 s by Router r2"):
        await task
    assert steward.state.layer == {"m": OFF}  # it comes to it yet
    assert "r2" in steward.state.audit[0]["outcome"]


async def test_what_a_router_cant_serve_is_undone_everywhere(world):
    world.routers = {"r1", "r2"}
    steward = world.steward()
    task = await begun(steward, change(NEW, verb="load"))
    await steward.serves("r1", Ack(1))
    await steward.serves("r2", Ack(1, whole(m="no file", other="is broken, too")))
    await until(lambda: steward.state.generation == 2)
    for router in world.routers:
        assert (await steward.follow(router, 1, Ack(1), 5)).layer == {}
        await steward.serves(router, Ack(2))
    with pytest.raises(InvalidArgument, match=r"failed to load 'm': no file \(Router r2\)"):
        await task
    assert (steward.state.generation, steward.state.layer) == (2, {})
    assert steward.state.audit[0]["outcome"].startswith("failed to load")


async def test_what_another_model_has_is_no_matter(world):
    steward = world.steward()
    task = await begun(steward)
    await steward.serves("r1", Ack(1, whole(other="broken")))
    await task


async def test_changes_of_one_model_come_one_after_the_other_and_of_others_beside(world):
    steward = world.steward()
    first = await begun(steward)
    second = asyncio.create_task(steward.change(change(NEW, id="j")))
    other = await begun(steward, change(OFF, id="k", model="n"))
    await asyncio.sleep(0.05)
    assert (steward.state.generation, steward.state.layer) == (2, {"m": OFF, "n": OFF})
    await steward.serves("r1", Ack(2))
    await asyncio.gather(first, other)
    await until(lambda: steward.state.generation == 3)
    await steward.serves("r1", Ack(3))
    await second
    assert steward.state.layer["m"] == NEW


async def test_news_come_at_once_and_else_after_a_while(world):
    steward = world.steward()
    assert (await steward.follow("r1", -1, Ack(), 5)).generation == 0
    assert (await steward.follow("r1", 0, Ack(0), 0.01)).generation == 0
    waiting = asyncio.create_task(steward.follow("r1", 0, Ack(0), 60))
    await asyncio.sleep(0)
    task = await begun(steward)
    assert (await waiting).generation == 1
    await steward.serves("r1", Ack(1))
    await task


async def test_the_next_steward_sees_it_through(world):
    """Killed after the change was written and before it was answered: whoever asked asks again."""
    first = world.steward()
    task = await begun(first)
    task.cancel()
    second = world.steward()
    assert second.state.generation == 1
    resumed = asyncio.create_task(second.resume())
    again = asyncio.create_task(second.change(change()))
    await second.follow("r1", 0, Ack(0), 0.01)
    await second.serves("r1", Ack(1))
    await asyncio.gather(resumed, again)
    assert second.state.generation == 1  # not done twice
    assert [line["outcome"] for line in second.state.audit] == ["served"]


async def test_the_next_steward_undoes_what_cant_be_served(world):
    task = await begun(world.steward(), change(NEW, verb="load"))
    task.cancel()
    second = world.steward()
    resumed = asyncio.create_task(second.resume())
    await second.serves("r1", Ack(1, whole(m="no")))
    await until(lambda: second.state.generation == 2)
    await second.serves("r1", Ack(2))
    await resumed
    assert (second.state.layer, second.state.under_way) == ({}, {})


async def test_killed_before_it_was_written_nothing_was_done(world):
    world.store.away = True
    first = world.steward()
    with pytest.raises(Unavailable, match="can't be kept: the bucket is away"):
        await first.change(change())
    assert (first.state.generation, world.lines) == (0, [])
    world.store.away = False
    task = await begun(first)
    await first.serves("r1", Ack(1))
    await task


async def test_of_two_stewards_the_older_takes_what_the_newer_wrote(world):
    """While Serve replaces one, both may run for a moment."""
    old, new = world.steward(), world.steward()
    task = await begun(new)
    await new.serves("r1", Ack(1))
    await task
    other = await begun(old, change(NEW, id="j", model="n", verb="load"))
    await old.serves("r1", Ack(2))
    await other
    assert decoded(world.store.data[STATE]).layer == {"m": OFF, "n": NEW}


async def test_what_another_cluster_wrote_is_taken(world):
    """Two clusters with one `stateUri`, while KubeRay switches from one to the other."""
    old, new = world.steward(), world.steward()
    task = await begun(old)
    await old.serves("r1", Ack(1))
    await task
    waiting = asyncio.create_task(new.follow("r2", 0, Ack(0), 60))
    await asyncio.sleep(0)
    await new.look()
    assert (await waiting).layer == {"m": OFF}
    await old.look()
    assert old.state.generation == 1


async def test_replicas_look_first_and_what_they_cant_load_changes_nothing(world):
    steward = world.steward()
    wanted = change(None, verb="load", read=True, remote=True)
    task = await begun(steward, wanted)
    await steward.serves("r1", Ack(1))
    await task
    assert world.reread == [("m", 1)]
    world.trouble = "version 2: broken"
    with pytest.raises(InvalidArgument, match="failed to load 'm': version 2: broken"):
        await steward.change(replace(wanted, id="j"))
    assert decoded(world.store.data[STATE]).audit[-1]["outcome"] == "version 2: broken"
    with pytest.raises(InvalidArgument):
        await steward.change(replace(wanted, id="k"))
    assert world.reread[1:] == [("m", 2), ("m", 3)]  # each is another look


async def test_while_serve_cant_say_who_runs_those_that_speak_count(world):
    world.serve_away = True
    steward = world.steward()
    await steward.serves("r1", Ack(0))
    task = await begun(steward)
    await asyncio.sleep(0.03)
    assert not task.done()
    await steward.serves("r1", Ack(1))
    await task


async def test_a_router_that_is_gone_is_forgotten(world, monkeypatch):
    monkeypatch.setattr(module, "_GONE_S", 0.01)
    steward = world.steward()
    await steward.serves("r1", Ack(1, places={"m": "x"}))
    await asyncio.sleep(0.02)
    await steward.serves("r2", Ack(1))
    assert set(steward.acks) == {"r2"}


async def test_files_are_kept_as_long_as_something_needs_them(world, monkeypatch):
    steward = world.steward()
    await steward.brought.keep("d1", b"files")
    assert await steward.brought.kept("d1") == b"files"
    for live, id, fresh, kept in ((None, "a", 600, True), (NEW, "b", 0, True), (None, "c", 0, False)):
        monkeypatch.setattr(brought, "_FRESH_S", fresh)
        task = await begun(steward, change(live, id=id))
        await steward.serves("r1", Ack(steward.state.generation))
        await task
        assert ("upload-d1" in world.store.data) == kept, id
    with pytest.raises(InvalidArgument, match=r"admin\.stateUri"):
        await steward.brought.keep("d2", b"x" * 1001)


async def test_a_deploy_drops_and_a_refusal_is_noted(world):
    steward = world.steward()
    task = await begun(steward)
    await steward.serves("r1", Ack(1))
    await task
    await steward.drop("m", {"": "other"})
    assert steward.state.generation == 1
    await steward.note({"outcome": "refused"})
    await steward.drop("m", {"": "x"})
    assert steward.state.layer == {}
    kept = decoded(world.store.data[STATE])
    assert [line["outcome"] for line in kept.audit][1:] == [
        "refused", "a deploy changed its configuration",
    ]  # fmt: skip
