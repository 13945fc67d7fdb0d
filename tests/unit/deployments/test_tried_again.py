"""Inline models that couldn't be loaded for now are loaded when they can be, without another deploy."""

import asyncio

import pytest

from serve_app.errors import Unavailable
from serve_app.repository import reasons
from serve_app.runtimes import host as hosts
from tests.unit.deployments.conducted import Setup, double, settled, slow, unwanted
from tests.unit.held import soon
from tests.unit.models import Slow
from tests.unit.runtimes.test_versions_apart import write
from tests.unit.waiting import until

TIMES = {"modelFormat": "python", "class": "tests.unit.runtimes.test_versions_apart:Times"}
URI = "s3://bucket/m"


def model(**more) -> dict:
    return {"name": "a", **TIMES, "storageUri": URI, **more}


async def deployed(it: Setup) -> None:
    """Again, the same."""
    it.conductor.follow({}, deployed=it.conductor._deployed + 1)
    await settled()


async def test_a_store_that_answers_again(it, store, at_once):
    store.trouble = ConnectionError("no route to host")
    await it.serve(model(), double("b"))
    with pytest.raises(Unavailable, match="its store can't be asked: ConnectionError"):
        await it.answer()
    assert await it.answer("b") == 2
    looks = store.looks
    await until(lambda: store.looks > looks)  # in vain
    store.trouble = None
    await until(lambda: it.index()[0] == ("a", "1", "READY"))
    assert await it.answer() == 10
    assert it.plane.changes()["models"]["a"] == ""
    assert len(it.adopted) == 1  # it is still the configuration of before


async def test_the_reason_says_when(it, store):
    store.trouble = ConnectionError("no route to host")
    await it.serve(model())
    (row,) = it.plane.repository_index()
    assert row["reason"].endswith(
        ("; tried again in 4 s", "; tried again in 5 s", "; tried again in 6 s")
    )
    assert "; tried again in " in it.plane.changes()["models"]["a"]
    with pytest.raises(Unavailable, match=r"no route to host; tried again in [456] s$"):
        await it.answer()
    assert "tried again" not in str(it.plane.directory.models["a"].refused.by_version)  # a verdict


@pytest.mark.parametrize(
    "trouble", [PermissionError("Access Denied"), FileNotFoundError("no such bucket")], ids=repr
)
async def test_what_lasts_isnt_tried_again(it, store, at_once, trouble):
    store.trouble = trouble
    await it.serve(model())
    looks = store.looks
    await asyncio.sleep(0.1)
    assert store.looks == looks
    assert "tried again" not in it.plane.repository_index()[0]["reason"]


async def test_what_serves_goes_on_and_a_deploy_begins_at_once(it, store):
    it.conductor.follow({}, deployed=1.0)
    await it.serve(model())
    store.trouble = ConnectionError("no route to host")
    await deployed(it)
    await unwanted(it)
    assert await it.answer() == 10
    (row,) = it.plane.repository_index()
    assert (row["state"], "; tried again in " in row["reason"]) == ("READY", True)
    store.trouble, store.files["2/by"] = None, b"20"
    await deployed(it)  # long before it would be tried again
    await until(lambda: it.index()[-1] == ("a", "2", "READY"))
    assert await it.answer() == 20
    assert not it.conductor.inline.looks._again._timers


async def test_a_version_for_which_there_was_no_room(it, tmp_path, monkeypatch, at_once):
    for number, by in (("1", "10"), ("2", "20")):
        write(tmp_path, number, by)
    full = [True]

    def check_room(need, gpu, swap="beside"):
        if full[0]:
            raise reasons.Full("no room beside what serves: it takes about 2 GiB, 1 GiB are free")

    monkeypatch.setattr(hosts, "check_room", check_room)
    it.conductor.follow({}, deployed=1.0)
    await it.serve(model(storageUri=str(tmp_path)))
    before = dict(it.plane.directory.models["a"].versions)
    write(tmp_path, "3", "30")
    await deployed(it)
    await until(lambda: it.index()[-1] == ("a", "3", "UNAVAILABLE"))
    reason = it.plane.repository_index()[-1]["reason"]
    assert "model 'a' version 3: no room beside what serves" in reason
    assert await it.answer() == 20
    full[0] = False
    await until(lambda: it.index()[-1] == ("a", "3", "READY"))
    assert await it.answer() == 30
    after = it.plane.directory.models["a"].versions
    assert all(after[number] is before[number] for number in "12")


async def test_a_service_that_a_users_class_needs(it, gate, at_once):
    gate.set()
    Slow.failing["a"] = ConnectionRefusedError(111, "Connection refused")
    await it.serve(slow())
    with pytest.raises(Unavailable, match="Connection refused"):
        await it.answer()
    Slow.failing.clear()
    await until(lambda: it.index() == [("a", "1", "READY")])
    assert await it.answer() == 2


async def test_what_isnt_wanted_any_more_isnt_tried_again(it, store, at_once):
    store.trouble = ConnectionError("no route to host")
    await it.serve(model())
    await it.serve(double("b"))
    await unwanted(it)
    looks = store.looks
    await asyncio.sleep(0.05)
    assert (store.looks, it.index()) == (looks, [("b", "1", "READY")])
    assert not it.conductor.inline.looks._again._timers


async def test_a_change_that_was_taken_back_isnt_tried_again(it, store, at_once):
    await it.serve(double("a", 3))
    store.trouble = ConnectionError("no route to host")
    it.configure(model())
    await soon(it.conductor.adopted())
    await it.serve(double("a", 3))
    looks = store.looks
    await asyncio.sleep(0.05)
    assert store.looks == looks
    assert await it.answer() == 3


# What may leave an old version for ever.


@pytest.mark.parametrize("first", [True, False], ids=["for the first time", "again"])
async def test_a_deploy_while_a_model_is_being_loaded(it, store, first):
    """Its files were listed before they changed."""
    it.conductor.follow({}, deployed=1.0)
    if not first:
        await it.serve(model())
        store.files["2/by"] = b"20"
    came, go_on = store.held()
    if first:
        it.configure(model())
    else:
        await deployed(it)
    await until(came.is_set)
    store.files["3/by"] = b"30"
    await deployed(it)
    await settled()
    go_on.set()
    await until(lambda: it.index()[-1] == ("a", "3", "READY"))
    await soon(it.conductor.adopted())
    assert await it.answer() == 30


async def test_a_deploy_while_a_load_fails_for_now_has_it_loaded_anew(it, store):
    """Which says nothing of the try that was due for the load before."""
    it.conductor.follow({}, deployed=1.0)
    goes_on = [asyncio.Event(), asyncio.Event()]
    reasons, begun, load = list[str](), list[int](), it.conductor.inline.load

    async def held(config, generation):
        begun.append(generation)
        await goes_on[len(begun) - 1].wait()
        reasons.append(it.plane.repository_index()[0]["reason"])
        await load(config, generation)

    it.conductor.inline.load = held
    store.trouble = ConnectionError("no route to host")
    it.configure(model())
    await settled()
    await deployed(it)
    goes_on[0].set()
    await until(lambda: len(begun) == 2)
    assert not it.conductor.inline.looks._again._timers
    store.trouble = None
    goes_on[1].set()
    await until(lambda: it.index()[-1] == ("a", "1", "READY"))
    assert reasons == ["loading", "loading"]


async def test_a_deploy_while_a_request_has_a_model_loaded(it, store):
    it.conductor.follow({}, deployed=1.0)
    await it.serve(model(), limits={"maxLoadedModels": 1})
    came, go_on = store.held()
    waiting = asyncio.create_task(it.answer())
    await until(came.is_set)
    store.files["2/by"] = b"20"
    await deployed(it)
    go_on.set()
    assert await soon(waiting) == 10
    await until(lambda: it.index()[-1] == ("a", "2", "READY"))
    assert await it.answer() == 20


async def test_a_router_that_begins_with_a_listing_that_is_older_than_its_deploy(it, store):
    other = Setup()
    other.conductor.follow({}, deployed=1.0)
    await other.serve(model())
    store.files["2/by"] = b"20"
    it.conductor.follow({}, deployed=2e9)  # by any clock later than what the other one heard
    await it.serve(model())
    await until(lambda: it.index()[-1] == ("a", "2", "READY"))
    assert await it.answer() == 20


async def test_a_router_that_begins_with_a_fresh_listing_asks_nobody(it, store):
    other = Setup()
    await other.serve(model())
    looks = store.looks
    it.conductor.follow({}, deployed=1.0)
    await it.serve(model())
    await unwanted(it)
    assert store.looks == looks


async def test_a_status_that_lacks_this_router_for_a_moment(it, store):
    it.conductor.follow({}, deployed=1.0)
    await it.serve(model())
    store.files["2/by"] = b"20"
    it.conductor.follow({}, deployed=0.0)
    it.conductor.follow({}, deployed=2.0)
    await until(lambda: it.index()[-1] == ("a", "2", "READY"))


async def test_files_that_cant_even_be_looked_at_are_loaded_to_say_why(it, store, monkeypatch):
    it.conductor.follow({}, deployed=1.0)
    await it.serve(model())

    def broken(self):
        raise RuntimeError("the loop is closed")

    with monkeypatch.context() as patched:
        patched.setattr(hosts.ModelHost, "changed", broken)
        store.files["2/by"] = b"20"
        await deployed(it)
        await until(lambda: it.index()[-1] == ("a", "2", "READY"))


async def test_a_router_that_begins_with_what_the_cache_has_asks_until_the_store_answers(
    it, store, at_once
):
    other = Setup()
    other.conductor.follow({}, deployed=1.0)
    await other.serve(model())
    store.files["2/by"], store.trouble = b"20", ConnectionError("no route to host")
    it.conductor.follow({}, deployed=2e9)  # after the cache heard of it
    await it.serve(model())
    assert await it.answer() == 10
    await until(lambda: "its store can't be asked" in it.plane.directory.refusals()["a"])
    assert await it.answer() == 10
    store.trouble = None
    await until(lambda: it.index()[-1] == ("a", "2", "READY"))
    assert await it.answer() == 20
