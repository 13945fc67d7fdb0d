"""Whatever throws, wherever: the other models go on, and the next good configuration holds."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serve_app.core.directory import Directory, Model
from serve_app.deployments import conductor, inline
from serve_app.errors import NotFound, TandemError, Unavailable
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.version_host import VersionHost
from tests.unit.deployments.conducted import Setup, app, double, settled, unwanted
from tests.unit.held import soon

STEPS = [
    (ModelHost, "__init__"), (ModelHost, "load"), (ModelHost, "describe"), (ModelHost, "targets"),
    (ModelHost, "close"), (VersionHost, "close"), (Directory, "expect"), (Directory, "remove"),
    (Model, "serve"), (Model, "unavailable"), (Model, "resize"), (conductor, "freeze_gc"),
    (inline, "log_loaded"),
]  # fmt: skip
THROWN = [
    OSError(36, "File name too long"),
    RuntimeError("Symlink loop"),
    KeyError("m"),
    PermissionError(),
]
NAMES = ("a", "b", "c")


@contextmanager
def faults(broken: Callable[[], bool]) -> Iterator[Callable[[], None]]:
    """Each of STEPS asks `broken()` first, and throws instead of being taken when that says yes."""
    errors = itertools.cycle(THROWN)

    def throw() -> None:
        if broken():
            raise next(errors)

    def throwing(real: Any) -> Any:
        def step(*args: Any, **more: Any) -> Any:
            throw()
            return real(*args, **more)

        return step

    with mock.patch.multiple(conductor, freeze_gc=mock.DEFAULT):
        patches = [
            mock.patch.object(owner, name, throwing(getattr(owner, name))) for owner, name in STEPS
        ]
        for one in patches:
            one.start()
        try:
            yield throw
        finally:
            for one in patches:
                one.stop()


changes = st.lists(
    st.one_of(
        st.tuples(st.just("inline"), st.dictionaries(st.sampled_from(NAMES), st.integers(2, 4))),
        st.tuples(
            st.just("remote"),
            st.dictionaries(
                st.sampled_from(("m", "n", *NAMES)), st.tuples(st.integers(1, 3), st.integers(1, 2))
            ),
        ),
        st.tuples(st.just("wait"), st.integers(0, 8)),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(happen=changes, throws=st.lists(st.booleans(), max_size=60))
@example(happen=[("inline", {"b": 2})], throws=[True])
@example(happen=[("inline", {"b": 2})], throws=[False, True])
def test_after_any_faults_a_good_configuration_is_served_whole(happen, throws):
    asyncio.run(_after_faults(happen, throws))


async def _after_faults(happen: list[Any], throws: list[bool]) -> None:
    coming = iter(throws)
    it = Setup()
    logging.disable(logging.ERROR)
    try:
        with faults(lambda: next(coming, False)) as throw:
            ask, adopted = it.conductor.applications.ask, it.conductor._on_adopted

            async def asked(one: Any) -> Any:
                throw()
                return await ask(one)

            def on_adopted(config: Any) -> None:
                throw()
                adopted(config)

            it.conductor.applications.ask, it.conductor._on_adopted = asked, on_adopted
            for kind, what in happen:
                if kind == "inline":
                    it.configure(*(double(name, by) for name, by in what.items()))
                elif kind == "remote":
                    it.look(*(app(n, stamp=float(s), running=r) for n, (s, r) in what.items()))
                else:
                    for _ in range(what):
                        await settled()
            coming = iter(())  # from here on all goes well
            it.configure(double("a", 5), double("c", 7), limits={"maxQueuedRequests": 3})
            for _ in range(4):
                it.look(app("m"), app("n"))
                await soon(it.conductor.described())
            await soon(it.conductor.adopted())
            await unwanted(it)
    finally:
        logging.disable(logging.NOTSET)
    assert it.plane.directory.models.keys() == {"a", "c", "m", "n"}
    assert {name: await it.answer(name) for name in "acmn"} == {"a": 5, "c": 7, "m": 11, "n": 11}
    assert it.adopted[-1].limits.max_queued_requests == 3
    assert {one.max_queued for one in it.plane.directory.models.values()} == {3}
    assert it.plane.tried
    with suppress(TandemError):
        await it.answer("b")
        pytest.fail("what is no longer wanted answers")


@pytest.mark.parametrize("error", THROWN, ids=repr)
async def test_a_model_that_throws_anything_has_it_as_its_reason(it, monkeypatch, error):
    def storage(uri, *_, **more):
        if "bad" in uri:
            raise error
        raise AssertionError(uri)

    monkeypatch.setattr("serve_app.runtimes.host.hold", storage)
    bad = double("a", storageUri="bad")
    await it.serve(bad, double("b"), limits={"maxQueuedRequests": 9})
    assert await it.answer("b") == 2
    assert it.plane.directory.model("b").max_queued == 9
    with pytest.raises(Unavailable, match=f"model 'a': {type(error).__name__}"):
        await it.answer("a")
    for _ in range(2):  # later deploys, with it and without
        await it.serve(bad, double("b", 3))
        assert await it.answer("b") == 3
        await it.serve(double("a", 4))
        assert await it.answer("a") == 4
        with pytest.raises(NotFound):
            await it.answer("b")


async def test_one_that_loads_and_cannot_be_described(it, monkeypatch):
    describe = ModelHost.describe

    def broken(self, *args):
        if self.name == "a":
            raise TypeError("unhashable")
        return describe(self, *args)

    monkeypatch.setattr(ModelHost, "describe", broken)
    await it.serve(double("a"), double("b"))
    assert await it.answer("b") == 2
    with pytest.raises(Unavailable, match="model 'a': TypeError: unhashable"):
        await it.answer("a")
    await unwanted(it)
    assert it.conductor.inline.hosts.keys() == {"b"}


async def test_what_fails_in_the_background_is_logged(it, monkeypatch, caplog):
    await it.serve(double("a"))
    monkeypatch.setattr(ModelHost, "close", mock.Mock(side_effect=OSError("the disk is gone")))
    await it.serve(double("a", 3))
    await unwanted(it)
    assert await it.answer() == 3
    assert "OSError: the disk is gone" in caplog.text
