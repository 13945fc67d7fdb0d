"""Transformers whose classes take their time to be there, or can't be had for now."""

import threading

import pytest

from serve_app.core import later
from serve_app.core.graphs.transformers import Transformers
from serve_app.errors import ConfigError
from tests.unit.ingress.test_transformers import Kept, entry
from tests.unit.waiting import until


class Around:
    """Loads when it is told to."""

    passing, trouble = True, ""

    def __init__(self, config) -> None:
        self.config, self.loads, self.closed, self.error = config, threading.Event(), False, None

    def load(self) -> None:
        assert self.loads.wait(30)
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True

    def changed(self) -> bool:
        return False


@pytest.fixture
def held(the_plane):
    """Transformers whose classes are loaded one by one, and these in the order of their beginning."""
    each, spawn = [], Kept()

    def make(config):
        each.append(Around(config))
        return each[-1]

    return Transformers(the_plane, make, spawn), each, spawn


async def test_one_that_waits_to_be_tried_again_still_does_after_another_change(held, monkeypatch):
    monkeypatch.setattr(later, "FIRST_S", 0.02)
    made, each, spawn = held
    config = entry("a", "t", "T")
    made.configure([config])
    each[0].error = ConfigError("no room")
    each[0].loads.set()
    await spawn.done()
    made.configure([config])  # something else of the configuration is another one
    await until(lambda: len(each) == 2)
    each[1].loads.set()
    await spawn.done()
    assert not made._served["t"].reason_of_its_own


async def test_the_last_one_wanted_is_served_whichever_is_loaded_last(held):
    made, each, spawn = held
    for factor in (1, 2, 3):
        made.configure([entry("a", "t", "T", options={"factor": factor})])
        if factor == 1:
            each[0].loads.set()
            await spawn.done()
    _, slow, last = each
    last.loads.set()
    await until(lambda: made._served["t"].around is last)
    slow.loads.set()
    await spawn.done()
    assert made._served["t"].around is last
    assert (each[0].closed, slow.closed, last.closed) == (True, True, False)


async def test_what_is_removed_while_it_is_loaded_is_closed(held):
    made, each, spawn = held
    for factor in (1, 2):
        made.configure([entry("a", "t", "T", options={"factor": factor})])
        if factor == 1:
            each[0].loads.set()
            await spawn.done()
    made.configure([])
    each[1].loads.set()
    await spawn.done()
    assert (made._served, [one.closed for one in each]) == ({}, [True, True])


async def test_a_class_that_cant_say_why_keeps_nobody_waiting(held):
    class Odd(BaseException):
        def __str__(self) -> str:
            return None  # type: ignore[return-value]

    made, each, spawn = held
    made.configure([entry("a", "t", "T")])
    each[0].passing, each[0].error = False, Odd()
    each[0].loads.set()
    await spawn.done()
    assert made._served["t"].reason == "a:T can't be loaded: Odd"
