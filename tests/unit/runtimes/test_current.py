"""A replica's model: what failed for now is tried again by itself; a late look is no second one."""

import asyncio
import threading

import numpy as np
import pytest

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError
from serve_app.runtimes import current as module
from serve_app.runtimes import host as hosts
from serve_app.runtimes.current import CurrentHost
from tests.unit.held import soon
from tests.unit.waiting import until

X = {"x": np.ones((1, 2), dtype=np.float32)}
EVER = 2e9  # later than any listing


def current(**more) -> CurrentHost:
    about = {"name": "m", "modelFormat": "python", "storageUri": "s3://bucket/m", **more,
             "class": "tests.unit.runtimes.test_versions_apart:Times"}  # fmt: skip
    return CurrentHost(parse(ModelConfig, about), False, lambda name, loaded: None)


async def answer(one: CurrentHost, version: str) -> float:
    return float((await one.predict(version, X, {}))["y"][0, 0])


@pytest.mark.parametrize("swap", ["beside", "replace"])
async def test_a_store_that_answers_again(store, at_once, swap):
    one = current(swap=swap)
    await one.load()
    store.files["2/by"] = b"20"
    store.trouble = ConnectionError("no route to host")
    assert "its store can't be asked" in await one.refresh(1.0)
    assert 0 < one.again < 2
    assert await answer(one, "1") == 10
    looks = store.looks
    await until(lambda: store.looks > looks + 8)  # in vain, more than once
    assert "its store can't be asked" in one.refused
    store.trouble = None
    await until(lambda: "2" in one.host.versions)
    assert (one.refused, one.failed, one.loaded) == ("", {}, 1.0)
    await until(lambda: one.again == 0)
    assert await answer(one, "2") == 20


async def test_what_lasts_isnt_tried_again(store, at_once):
    one = current()
    await one.load()
    store.trouble = PermissionError("Access Denied")
    assert "no permission" in await one.refresh(1.0)
    assert one.again == 0


async def test_a_deploy_begins_at_once(store):
    one = current()
    await one.load()
    store.trouble = ConnectionError("no route to host")
    await one.refresh(1.0)
    assert one.again > 1
    store.trouble, store.files["2/by"] = None, b"20"
    assert "its store can't be asked" in await one.refresh(1.0)  # another Router asks
    assert await one.refresh(2.0) == ""
    assert (one.again, sorted(one.host.versions)) == (0, ["1", "2"])


@pytest.mark.parametrize("swap", ["beside", "replace"])
@pytest.mark.parametrize("during", ["look", "load"])
async def test_a_router_that_ends_while_it_tells_stops_nothing(store, monkeypatch, swap, during):
    """What it asked is cancelled, and its successor tells of the same deploy."""
    one = current(swap=swap)
    await one.load()
    store.files["2/by"] = b"20"
    went, go_on = threading.Event(), threading.Event()
    name = "changed" if during == "look" else "load"
    method = getattr(hosts.ModelHost, name)

    def slowly(self):
        went.set()
        assert go_on.wait(10)
        return method(self)

    monkeypatch.setattr(hosts.ModelHost, name, slowly)
    first = asyncio.create_task(one.refresh(1.0))
    await until(went.is_set)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(one.refresh(1.0))
    go_on.set()
    assert await second == ""
    assert sorted(one.host.versions) == ["1", "2"]
    assert await answer(one, "2") == 20


@pytest.mark.parametrize("swap", ["beside", "replace"])
@pytest.mark.parametrize("changed", ["1", "2"])
async def test_a_load_that_hangs_doesnt_hold_up_deploys_for_good(store, monkeypatch, swap, changed):
    """What served goes on, and what comes late is closed."""
    one = current(swap=swap)
    await one.load()
    store.files[f"{changed}/by"] = b"20"
    load, close, hanging = hosts.ModelHost.load, hosts.ModelHost.close, threading.Event()
    look, late, closed = hosts.ModelHost.changed, [], []

    def looked(self):
        found = look(self)
        if not late:
            module.LONGEST_S = 0.2  # of the load alone: what follows may take its time
        return found

    def hung(self):
        module.LONGEST_S = 60
        late.append(self)
        loaded = load(self)
        assert late[0] is not self or hanging.wait(60)
        return loaded

    def recorded(self, keep=None):
        closed.append((self, {*self.versions.values()} - {*keep.versions.values()}))
        close(self, keep)

    monkeypatch.setattr(hosts.ModelHost, "load", hung)
    monkeypatch.setattr(hosts.ModelHost, "close", recorded)
    monkeypatch.setattr(hosts.ModelHost, "changed", looked)
    monkeypatch.setattr(module, "LONGEST_S", 60)
    assert await one.refresh(1.0) == "it is loading for more than 0.2 s"
    # What had to make way is there again, read from what lies there now.
    assert await answer(one, "1") == (20 if (swap, changed) == ("replace", "1") else 10)
    assert await one.refresh(2.0) == ""
    assert await answer(one, changed) == 20
    assert closed == []
    hanging.set()
    await until(lambda: closed)
    ((fresh, versions),) = closed
    assert [fresh, *(version.version for version in versions)] == [late[0], changed]
    assert await answer(one, changed) == 20


async def test_a_version_that_had_no_room_when_the_process_began(store, at_once, monkeypatch):
    store.files["2/by"] = b"20"
    load, full = hosts.load_version, [True]

    def loads(config, version, *rest):
        if version == "2" and full[0]:
            raise hosts.ConfigError("model 'm' version 2: MemoryError") from MemoryError()
        return load(config, version, *rest)

    monkeypatch.setattr(hosts, "load_version", loads)
    one = current()
    await one.load()
    assert (sorted(one.host.versions), one.again > 0) == (["1"], True)
    full[0] = False
    await until(lambda: "2" in one.host.versions)
    await until(lambda: one.again == 0)


async def test_one_that_has_just_come_looks_only_where_what_it_read_is_older(store):
    first = current()
    await first.load()
    store.files["2/by"] = b"20"
    one = current()
    await one.load()  # by the listing of a moment ago
    looks = store.looks
    assert await one.refresh(1.0, late=True) == ""  # a deploy long before that
    assert (store.looks, sorted(one.host.versions)) == (looks, ["1"])
    assert await one.refresh(EVER, late=True) == ""
    assert sorted(one.host.versions) == ["1", "2"]
    assert await one.refresh(1.0) == ""
    assert store.looks > looks


async def test_a_late_look_waits_for_nothing_that_is_tried_again(store, at_once):
    one = current()
    await one.load()
    store.trouble = ConnectionError("no route to host")
    await one.refresh(1.0)
    came, go_on = threading.Event(), threading.Event()

    def spoil(path, start, data):
        came.set()
        assert go_on.wait(20)
        yield data

    store.spoil, store.files["2/by"], store.trouble = spoil, b"20", None
    await until(came.is_set)  # it is being tried
    assert "its store can't be asked" in await one.refresh(EVER, late=True)
    assert one.again > 0
    go_on.set()
    await until(lambda: "2" in one.host.versions)


async def test_a_try_doesnt_wait_for_itself(store, at_once):
    """What is dropped before is waited for, for as long as a prediction may take."""
    one = current(swap="replace", versions="latest", hangAfter=60)
    await one.load()
    store.trouble, store.files["2/by"] = ConnectionError("no route to host"), b"20"
    assert "its store can't be asked" in await one.refresh(1.0)
    store.trouble = None
    await until(lambda: list(one.host.versions) == ["2"])
    assert await answer(one, "2") == 20


async def test_a_replica_that_starts_goes_on_trying(store, at_once):
    said: list[str] = []
    about = {"name": "m", "modelFormat": "python", "storageUri": "s3://bucket/m",
             "class": "tests.unit.runtimes.test_versions_apart:Times"}  # fmt: skip
    one = CurrentHost(parse(ModelConfig, about), False, lambda name, loaded: None, said.append)
    store.trouble = ConnectionError("no route to host")
    loading = asyncio.create_task(one.load())
    await until(lambda: sum("; tried again in 0 s" in text for text in said) > 1)
    assert all("its store can't be asked: ConnectionError: no route to host" in text for text in said)
    store.trouble = None
    assert [loaded.version for loaded in await soon(loading)] == ["1"]
    assert (await answer(one, "1"), one.again) == (10, 0)


async def test_one_that_lacks_what_it_needs_for_good_ends(store, at_once):
    store.trouble = PermissionError("Access Denied")
    with pytest.raises(ConfigError, match="no permission"):
        await current().load()
