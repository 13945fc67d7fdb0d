"""Transformers whose classes take their time to be there, or can't be had for now."""

import asyncio
import importlib
import sys
import threading

import pytest

from serve_app.core import later
from serve_app.core.graphs.transformers import Transformers
from serve_app.errors import ConfigError
from serve_app.runtimes.transformer import KServeTransformer
from tests.unit.ingress.test_transformers import V2, Kept, entry, v2
from tests.unit.waiting import until


class Around:
    """Loads when it is told to."""

    passing, trouble, explains = True, "", False

    def __init__(self, config) -> None:
        self.config, self.loads, self.closed, self.error = config, threading.Event(), False, None

    async def load(self) -> None:
        assert await asyncio.to_thread(self.loads.wait, 30)
        if self.error:
            raise self.error

    def where(self) -> str:
        return "in its load"

    def close(self) -> None:
        self.closed = True

    def changed(self) -> bool:
        return False

    async def tensors(self, request, headers, grpc, asks):
        return {one.name: one.data for one in request.inputs}


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


def row(the_plane, name="t"):
    (found,) = (one for one in the_plane.repository_index() if one["name"] == name)
    return found["state"], found["reason"]


async def test_while_it_loads_its_state_says_so_and_requests_wait(http, the_plane, held):
    made, each, spawn = held
    made.configure([entry("a", "t", "T")])
    assert (row(the_plane), the_plane.model_ready("t")) == (("LOADING", "loading"), False)
    asked = asyncio.create_task(v2(http, "t", V2))
    await until(lambda: made._served["t"]._asked == 1)
    made.read_again()  # a deploy begins nothing anew
    assert len(each) == 1
    each[0].loads.set()
    assert (await asked).status_code == 200
    assert row(the_plane) == ("READY", "")
    await spawn.done()


async def test_one_that_loads_for_too_long_is_refused_and_served_when_it_is_loaded(
    http, the_plane, held, caplog
):
    made, each, spawn = held
    made.configure([entry("a", "t", "T", loadTimeout=0.05)])
    why = "it is loading for more than 0.05 s (loadTimeout)"
    for ask in (v2(http, "t", V2), v2(http, "t", V2), http.post("/v2/models/t/explain", json=V2)):
        found = await asyncio.wait_for(ask, 20)
        told = f"transformer 't' is not ready: {why}"
        assert (found.status_code, told in found.text) == (503, True), found.text
    assert row(the_plane) == ("UNAVAILABLE", why)
    assert "in its load" in caplog.text  # where it stands
    each[0].loads.set()
    await spawn.done()
    assert (row(the_plane), (await v2(http, "t", V2)).status_code) == (("READY", ""), 200)


async def test_a_deploy_begins_no_other_one_beside_one_that_loads_for_too_long(the_plane, held):
    made, each, spawn = held
    made.configure([entry("a", "t", "T", loadTimeout=0.05)])
    assert not made.settled
    await until(lambda: made.settled)
    assert "loadTimeout" in the_plane.changes()["models"]["t"]
    made.read_again()
    assert len(each) == 1
    each[0].error = ConfigError("no such table")
    each[0].passing = False
    each[0].loads.set()
    await spawn.done()
    assert the_plane.changes()["models"]["t"] == "no such table"
    made.read_again()
    each[1].loads.set()
    await spawn.done()
    assert the_plane.changes()["models"]["t"] == ""


async def test_why_another_one_isnt_served_stands_at_the_one_before(the_plane, held):
    made, each, spawn = held
    made.configure([entry("a", "t", "T")])
    each[0].loads.set()
    await spawn.done()
    made.configure([entry("a", "t", "T", revision="2")])
    each[1].error, each[1].passing = ConfigError("no such table"), False
    each[1].loads.set()
    await spawn.done()
    state, reason = row(the_plane)
    assert (state, "no such table" in reason) == ("READY", True)
    assert the_plane.changes()["models"]["t"] == "no such table"
    made.configure([])
    assert "t" not in the_plane.changes()["models"]


async def test_another_one_is_served_in_the_place_of_one_that_loads_for_too_long(http, the_plane, held):
    made, each, spawn = held
    made.configure([entry("a", "t", "T", loadTimeout=0.05)])
    await until(lambda: row(the_plane)[0] == "UNAVAILABLE")
    made.configure([entry("a", "t", "T", revision="2")])
    each[1].loads.set()
    assert (await v2(http, "t", V2)).status_code == 200
    each[0].loads.set()
    await spawn.done()
    assert (each[0].closed, made._served["t"].around) == (True, each[1])


async def test_what_serves_goes_on_while_another_one_loads_for_too_long(http, the_plane, held, caplog):
    made, each, spawn = held
    made.configure([entry("a", "t", "T")])
    each[0].loads.set()
    await spawn.done()
    made.configure([entry("a", "t", "T", loadTimeout=0.05)])
    await until(lambda: "it is loading for more than" in caplog.text)
    why = "a change was refused: it is loading for more than 0.05 s (loadTimeout)"
    assert (row(the_plane), (await v2(http, "t", V2)).status_code) == (("READY", why), 200)
    each[1].loads.set()
    await spawn.done()
    assert (made._served["t"].around, row(the_plane)) == (each[1], ("READY", ""))


HANGS = """
import threading

gate = threading.Event()

class Fine:
    def preprocess(self, payload, headers=None):
        return payload

class Hangs(Fine):
    def __init__(self):
        assert gate.wait(30)

class Odd(BaseException):
    def __str__(self):
        return None

class CantSay(Fine):
    def __init__(self):
        raise Odd
"""


async def test_more_that_hang_than_the_loop_has_threads_keep_no_other_from_being_loaded(
    http, the_plane, write_module
):
    module, spawn = write_module(HANGS), Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    hang = [entry(module, f"h{number}", "Hangs", loadTimeout=0.1) for number in range(40)]
    made.configure([*hang, entry(module, "fine", "Fine")])
    assert (await asyncio.wait_for(v2(http, "fine", V2), 20)).status_code == 200
    await until(lambda: row(the_plane, "h39")[0] == "UNAVAILABLE")
    sys.modules[module].gate.set()
    await spawn.done()
    assert {row(the_plane, one.name) for one in hang} == {("READY", "")}
    made.configure([])


async def test_an_import_that_hangs_keeps_no_other_module_from_being_loaded(
    http, the_plane, write_module
):
    gates = write_module("import threading\n\ngate = threading.Event()\n", "_gates")
    gate = importlib.import_module(gates).gate
    module = write_module(f"import {gates}\n\nassert {gates}.gate.wait(30)\n")
    other, spawn = write_module(HANGS, "_other"), Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    made.configure([entry(module, "hangs", "T", loadTimeout=0.1), entry(other, "fine", "Fine")])
    assert (await asyncio.wait_for(v2(http, "fine", V2), 20)).status_code == 200
    gate.set()
    await spawn.done()
    made.configure([])


async def test_a_class_that_cant_say_why_keeps_nobody_waiting(the_plane, write_module):
    module, spawn = write_module(HANGS), Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    made.configure([entry(module, "t", "CantSay")])
    await spawn.done()
    assert row(the_plane) == ("UNAVAILABLE", f"{module}:CantSay can't be loaded: Odd")
