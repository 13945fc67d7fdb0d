"""A model whose `load` takes long, or never returns: the others are loaded, and served."""

import asyncio

import pytest

from serve_app.deployments import inline
from serve_app.errors import NotFound, Unavailable
from tests.unit.deployments.conducted import double, settled, slow, unwanted
from tests.unit.models import Slow
from tests.unit.waiting import until

NEVER = {"loadTimeout": 0.5}


@pytest.fixture(autouse=True)
def beside(monkeypatch, gate):
    monkeypatch.setattr(inline, "BESIDE_S", 0.05)
    return gate


async def test_one_that_never_returns_holds_nobody_up(it, gate, caplog):
    await it.serve({**slow("a"), **NEVER}, double("b"), double("c"), limits={"timeout": 7})
    assert [await it.answer("b"), await it.answer("c")] == [2, 2]
    assert it.adopted[-1].limits.timeout == 7
    with pytest.raises(Unavailable, match=r"it is loading for more than 0.5 s \(loadTimeout\)"):
        await it.answer("a")
    assert it.index() == [("a", "", "UNAVAILABLE"), ("b", "1", "READY"), ("c", "1", "READY")]
    assert "in load" in caplog.text  # where it is
    gate.set()
    await until(lambda: it.plane.model_ready("a"))
    assert await it.answer("a") == 2
    assert not any(it.plane.directory.refusals().values())


async def test_the_next_one_begins_before_the_configuration_goes_on_without_it(it, gate):
    it.configure({**slow("a"), "loadTimeout": 30}, double("b"))
    await until(lambda: "b" in it.plane.directory.models and it.plane.model_ready("b"))
    await settled()
    assert not it.adopted  # a start waits for it
    gate.set()
    await it.conductor.adopted()
    assert [await it.answer("a"), await it.answer("b")] == [2, 2]


async def test_what_served_goes_on_while_its_successor_loads(it, gate):
    await it.serve(double("a", 3))
    await it.serve({**slow("a"), **NEVER}, double("b"))
    assert [await it.answer("a"), await it.answer("b")] == [3, 2]
    assert "loadTimeout" in it.plane.directory.refusals()["a"]
    gate.set()
    await until(lambda: not it.plane.directory.refusals()["a"])
    assert await it.answer("a") == 2
    await unwanted(it)


async def test_another_configuration_takes_the_place_of_one_that_never_returns(it, gate):
    await it.serve({**slow("a"), **NEVER})
    await it.serve(double("a", 5))
    assert await it.answer("a") == 5
    gate.set()
    await unwanted(it)
    assert await it.answer("a") == 5


async def test_the_same_again_isnt_loaded_twice(it, gate):
    stuck = {**slow("a"), **NEVER}
    await it.serve(stuck)
    await it.serve(stuck, double("b"))
    assert await it.answer("b") == 2
    gate.set()
    await until(lambda: it.plane.model_ready("a"))
    assert it.conductor.inline.hosts.keys() == {"a", "b"}
    await unwanted(it)


async def test_one_that_goes_and_comes_back(it, gate):
    stuck = {**slow("a"), **NEVER}
    await it.serve(stuck)
    await it.serve()
    with pytest.raises(NotFound):
        await it.answer("a")
    await it.serve(stuck)
    gate.set()
    await until(lambda: it.plane.model_ready("a"))
    await unwanted(it)
    assert await it.answer("a") == 2
    await it.serve()
    with pytest.raises(NotFound):
        await it.answer("a")
    await unwanted(it)


async def test_one_that_fails_after_all_says_why(it, gate):
    Slow.failing["a"] = OSError("the disk is gone")
    await it.serve({**slow("a"), **NEVER}, double("b"))
    gate.set()
    await until(lambda: "the disk is gone" in it.plane.directory.refusals()["a"])
    with pytest.raises(Unavailable, match="the disk is gone"):
        await it.answer("a")
    assert await it.answer("b") == 2
    await asyncio.sleep(0)
