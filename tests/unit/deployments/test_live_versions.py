"""Versions of one model loaded and unloaded at once."""

import asyncio
import threading

import pytest

from tests.unit.runtimes.test_versions_apart import Times, write
from tests.unit.waiting import until


@pytest.fixture
async def routers(world, tmp_path):
    made = [world("r1"), world("r2")]
    for version in "123":
        write(tmp_path, version, version)
    model = {
        "name": "t", "modelFormat": "python", "class": "tests.unit.runtimes.test_versions_apart:Times",
        "storageUri": str(tmp_path), "versions": ["1"],
    }  # fmt: skip
    for router in made:
        await router.start(model)
    return made


def loaded(router) -> list[str]:
    return list(router.directory.models["t"].versions)


async def test_two_that_are_loaded_at_once_are_both_there(routers):
    one, two = routers
    await asyncio.gather(one.do("load", "t", version="2"), two.do("load", "t", version="3"))
    assert [loaded(router) for router in routers] == [["1", "2", "3"]] * 2


async def test_one_that_is_loaded_while_another_still_loads(routers, monkeypatch):
    """It is known by then that the other one is wanted, and not that it is there."""
    one, two = routers
    go_on, load = threading.Event(), Times.load

    def slowly(self, folder):
        assert folder.name != "2" or go_on.wait(20)
        load(self, folder)

    monkeypatch.setattr(Times, "load", slowly)
    first = asyncio.create_task(one.do("load", "t", version="2"))
    await until(lambda: all(router.live.state.generation == 1 for router in routers))
    second = asyncio.create_task(two.do("load", "t", version="3"))
    shared = asyncio.create_task(two.changing.direct("t", {"weights": {"2": 100}}, "me"))
    await asyncio.sleep(0.05)
    go_on.set()
    await asyncio.gather(first, second, shared)
    assert [loaded(router) for router in routers] == [["1", "2", "3"]] * 2


async def test_one_that_is_unloaded_while_another_comes(routers):
    one, two = routers
    await asyncio.gather(two.do("load", "t", version="2"), one.do("load", "t", version="3"))
    await asyncio.gather(one.do("unload", "t", version="3"), two.do("unload", "t", version="2"))
    assert [loaded(router) for router in routers] == [["1"]] * 2
