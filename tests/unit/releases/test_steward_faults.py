"""The place where the state is kept fails, a Steward dies, two change one model at once."""

import asyncio

import pytest

from serve_app.errors import DeadlineExceeded, Gone, InvalidArgument, Unavailable
from serve_app.releases.judged import Ack, Failed
from serve_app.releases.ledger import decoded
from serve_app.releases.live import Live
from serve_app.releases.rolling import mark
from serve_app.releases.store import STATE
from tests.unit.releases.stewarded import NEW, OFF, begun, change
from tests.unit.releases.test_rollouts import start
from tests.unit.waiting import until


async def served(steward, wanted=None) -> None:
    task = await begun(steward, wanted)
    await steward.serves("r1", Ack(steward.state.generation))
    await task


async def test_a_place_that_cant_be_read_is_said_to_whoever_asks(world):
    steward = world.steward()
    world.store.unread = True
    with pytest.raises(Unavailable, match="can't be kept: the bucket can't be read"):
        await steward.change(change())
    assert (steward.state.generation, world.lines) == (0, [])
    world.store.unread = False
    await served(steward)


@pytest.mark.parametrize("verb", ["names", "delete"])
async def test_what_cant_be_swept_is_served_all_the_same(world, monkeypatch, verb, caplog):
    """A bucket that may be written, and not listed."""
    steward = world.steward()
    world.store.data["upload-old"] = b"files"

    def forbidden(*arguments):
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(world.store, verb, forbidden)
    await served(steward)
    assert steward.state.audit[0]["outcome"] == "served"
    assert "can't be removed: AccessDenied" in caplog.text


async def test_of_two_that_were_under_way_each_is_seen_through(world):
    """The first one's Router takes its time, and whoever asked for the second asks again meanwhile."""
    first = world.steward()
    tasks = [await begun(first, change(OFF, id=name, model=name)) for name in "ab"]
    for task in tasks:
        task.cancel()
    second = world.steward()
    resumed = asyncio.create_task(second.resume())
    await asyncio.sleep(0.02)
    again = asyncio.create_task(second.change(change(OFF, id="b", model="b")))
    await asyncio.sleep(0.02)
    await second.serves("r1", Ack(2))
    await asyncio.gather(resumed, again)
    assert [line["outcome"] for line in second.state.audit] == ["served", "served"]


async def test_one_that_cant_be_seen_through_keeps_no_other_from_it(world):
    first = world.steward()
    for name in "ab":
        (await begun(first, change(OFF, id=name, model=name))).cancel()
    second = world.steward()
    await second.serves("r1", Ack(2))
    put, failed = world.store.put, []

    def once(name, data):
        if not failed:
            failed.append(name)
            raise OSError("the bucket is away")
        put(name, data)

    world.store.put = once
    await second.resume()
    assert list(second.state.under_way) == ["a"]
    await second.resume()  # now and then
    assert not second.state.under_way


async def test_what_was_served_and_couldnt_be_written_is_written_later(world):
    steward = world.steward()
    task = await begun(steward)
    world.store.away = True
    await steward.serves("r1", Ack(1))
    with pytest.raises(Unavailable, match="the bucket is away"):
        await task
    world.store.away = False
    await steward.resume()
    assert decoded(world.store.data[STATE]).audit[0]["outcome"] == "served"
    assert not steward.state.under_way


async def test_a_change_that_is_seen_through_isnt_taken_from_whoever_does(world):
    steward = world.steward()
    task = await begun(steward)
    async with asyncio.timeout(5):
        await steward.resume()
    assert not task.done()
    await steward.serves("r1", Ack(1))
    await task


async def test_each_look_is_another_one_to_the_replicas_though_nothing_was_kept(world):
    steward = world.steward()
    wanted = change(None, verb="load", read=True, remote=True)
    world.store.away = True
    with pytest.raises(Unavailable):
        await steward.change(wanted)
    world.store.away = False
    await served(steward, wanted)
    await served(steward, change(None, id="j", verb="load", read=True, remote=True))
    looks = [at for _, at in world.reread]
    assert looks == sorted(set(looks))
    assert len(looks) == 3


async def test_whoever_asks_again_hears_the_same(world):
    """Of the next Steward, which found out that a Router doesn't serve it."""
    (await begun(world.steward())).cancel()
    second = world.steward(timeout=0.02)
    await second.resume()
    with pytest.raises(DeadlineExceeded, match="not served within"):
        await second.change(change())


async def test_one_that_was_made_from_what_is_no_longer_so_is_given_back(world):
    steward = world.steward()
    seen = mark(steward.state, "m")
    first = await begun(steward, change(NEW, mark=seen))
    second = asyncio.create_task(steward.change(change(OFF, id="j", mark=seen)))
    await until(lambda: steward.state.under_way)
    await steward.serves("r1", Ack(1))
    await first
    with pytest.raises(Gone, match="was changed meanwhile"):
        await second
    assert steward.state.layer == {"m": NEW}
    await served(steward, change(OFF, id="k", mark=mark(steward.state, "m")))
    assert steward.state.layer == {"m": OFF}


async def test_what_is_equal_and_not_the_same_is_undone_with_news(world):
    """Else Routers and the Steward would make other marks of it, for ever."""
    steward = world.steward()
    one, other = (Live({}, {"options": {"by": by}}) for by in (1, 1.0))
    await served(steward, change(one))
    task = await begun(steward, change(other, id="j"))
    await steward.serves("r1", Ack(2, {"m": Failed({"": "no"})}))
    await until(lambda: steward.state.generation == 3)
    await steward.serves("r1", Ack(3))
    with pytest.raises(InvalidArgument):
        await task


async def test_where_nobody_can_say_who_is_to_serve_it_isnt_served(world):
    (await begun(world.steward())).cancel()
    second = world.steward(timeout=0.05)
    world.serve_away = True
    await second.resume()
    assert "not served within" in second.state.audit[0]["outcome"]


async def test_nothing_is_unloaded_of_a_rollout_that_began_meanwhile(world):
    steward = world.steward()
    seen = mark(steward.state, "m")
    await start(steward)
    with pytest.raises(Gone, match="was changed meanwhile"):
        await steward.change(change(NEW, mark=seen, version="1"))


async def test_what_another_cluster_has_ended_is_over(world):
    """It took the state over while this one waited for Routers."""
    old, new = world.steward(), world.steward()
    task = await begun(old)
    await new.look()
    await new.serves("r1", Ack(1))
    await new.resume()
    await served(new, change(NEW, id="j", model="n"))
    await old.serves("r1", Ack(1))
    await task
    assert [line["outcome"] for line in new.state.audit] == ["served", "served"]
