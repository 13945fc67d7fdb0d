"""A transformer's functions that never return: neither later requests nor another class feel it."""

import asyncio

import pytest

from serve_app.core.graphs.transformers import Transformers
from serve_app.runtimes.threads import ABANDONED, MAY_HANG
from serve_app.runtimes.transformer import KServeTransformer
from tests.unit.held import soon
from tests.unit.ingress.held_transformer import Held
from tests.unit.ingress.test_transformers import ROW, V2, Kept, entry, v1, v2
from tests.unit.waiting import until

MODULE = "tests.unit.ingress.held_transformer"


@pytest.fixture
def gate():
    Held.gate.clear()
    yield Held.gate
    Held.gate.set()


@pytest.fixture
async def held(the_plane, gate):
    """One that hangs after a moment, and what serves it."""
    spawn = Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    made.configure([entry(MODULE, "held", "Held", hangAfter=0.05)])
    await spawn.done()
    yield made, spawn
    await spawn.done()
    made.configure([])


async def hangs(http, where):
    """One request whose client doesn't wait for long, and its thread, left to itself."""
    before, waited = ABANDONED["held"], Held.waited
    body = {**V2, "parameters": {"timeout": 100_000}}
    while Held.waited == waited:  # on a busy machine it may be late before it begins
        assert (await soon(v2(http, "held", body, where=where))).status_code == 504
    await until(lambda: ABANDONED["held"] > before)


@pytest.mark.parametrize("where", ["preprocess", "postprocess"])
async def test_the_requests_behind_it_are_answered_by_another_thread(
    http, the_plane, held, caplog, where
):
    for _ in range(MAY_HANG):
        await hangs(http, where)
        assert (await soon(v1(http, "held", ROW))).status_code == 200
    assert the_plane.model_ready("held")
    assert "a prediction of transformer 'held' hangs" in caplog.text
    assert "self.gate.wait()" in caplog.text  # where


async def test_too_many_make_it_unavailable_until_one_returns(http, the_plane, held, gate):
    for _ in range(MAY_HANG + 1):
        await hangs(http, "preprocess")
    assert not the_plane.model_ready("held")
    found = await soon(v1(http, "held", ROW))
    why = f"transformer 'held' is not ready: {MAY_HANG + 1} of its predictions hang"
    assert (found.status_code, why in found.text) == (503, True), found.text
    index = {one["name"]: one["state"] for one in the_plane.repository_index()}
    assert (index["held"], index["m"]) == ("UNAVAILABLE", "READY")
    gate.set()
    await until(lambda: the_plane.model_ready("held"))
    assert (await soon(v1(http, "held", ROW))).status_code == 200


async def test_what_waits_behind_too_many_is_told_why(http, the_plane, held):
    for _ in range(MAY_HANG):
        await hangs(http, "preprocess")
    first = asyncio.create_task(hangs(http, "preprocess"))
    await until(lambda: held[0]._served["held"]._asked == 1)
    found = await soon(v1(http, "held", ROW))
    assert (found.status_code, "'held' is not ready" in found.text) == (503, True), found.text
    await first


async def test_another_class_takes_the_place_of_one_that_hangs(http, the_plane, held):
    made, spawn = held
    for _ in range(MAY_HANG + 1):
        await hangs(http, "preprocess")
    made.configure([entry(MODULE, "held", "Held", hangAfter=0.05, revision="2")])
    await spawn.done()
    assert the_plane.model_ready("held")
    assert (await soon(v1(http, "held", ROW))).status_code == 200


async def test_who_is_asking_when_another_takes_its_place_is_answered(http, held, gate):
    """Between two functions of the class, too: its thread ends after the last one."""
    made, spawn = held
    first = asyncio.create_task(v1(http, "held", ROW, where="preprocess"))
    before = made._served["held"]
    await until(lambda: before._asked == 1)
    made.configure([entry(MODULE, "held", "Held", revision="2")])
    await spawn.done()
    assert not before.around._thread._closed
    gate.set()
    assert (await soon(first)).status_code == 200
    assert before.around._thread._closed
