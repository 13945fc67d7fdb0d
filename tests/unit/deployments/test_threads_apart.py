"""What takes long, a close or a look at a store, has threads of its own: the loop has but a few."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from serve_app.config import RouterUserConfig
from serve_app.deployments import router
from serve_app.deployments.background import Background
from tests.unit.deployments.conducted import Setup, settled
from tests.unit.deployments.test_conductor_versions import deployed, model
from tests.unit.held import soon
from tests.unit.runtimes.test_versions_apart import write
from tests.unit.waiting import until


@pytest.fixture
async def one_thread():
    """All that the loop has."""
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        yield threads


class Closing:
    """A host whose predictions run until `ended`."""

    name = "a"

    def __init__(self, ended: threading.Event) -> None:
        self.ended = ended

    def close(self, keep=None):
        assert self.ended.wait(20)


async def test_closes_that_wait_hold_up_nobody(one_thread):
    ended, background = threading.Event(), Background()
    for _ in range(8):
        background.retire((), Closing(ended))
    await settled()
    assert await soon(asyncio.to_thread(lambda: 1)) == 1
    ended.set()
    await until(lambda: not background.tasks)


async def test_looks_at_stores_that_are_slow_hold_up_nobody(
    one_thread, it: Setup, tmp_path, monkeypatch
):
    write(tmp_path, "1", "10")
    await it.serve(model(tmp_path))
    it.conductor.follow({}, deployed=1.0)
    said, host = threading.Event(), it.conductor.inline.hosts["a"]
    changed = host.changed
    monkeypatch.setattr(host, "changed", lambda: said.wait(20) and changed())
    write(tmp_path, "2", "20")
    looking = asyncio.create_task(deployed(it))
    await settled()
    assert await soon(asyncio.to_thread(lambda: 1)) == 1
    said.set()
    await looking
    assert await it.answer() == 20


async def test_serves_status_is_followed_whatever_the_loops_threads_do(one_thread, monkeypatch):
    busy = threading.Event()
    one_thread.submit(busy.wait, 20)
    monkeypatch.setattr(router, "application", lambda: "tandem")
    monkeypatch.setattr(router, "_looked_at", lambda: ({}, {}))
    followed = asyncio.Queue[dict]()
    made = object.__new__(router.Router)
    made.loop, made._live, made._looked = asyncio.get_running_loop(), None, asyncio.Event()
    made._looking = ThreadPoolExecutor(1)
    made._conductor = SimpleNamespace(
        config=RouterUserConfig(),
        look=asyncio.Event(),
        follow=lambda apps, *rest: followed.put_nowait(apps),
    )
    task = asyncio.create_task(made._discover())
    assert await soon(followed.get()) == {}
    task.cancel()
    busy.set()
    made._looking.shutdown()
