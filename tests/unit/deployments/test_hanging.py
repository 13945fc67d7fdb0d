"""An inline model whose predictions never end: neither other models nor later requests feel it."""

import asyncio

import pytest

from serve_app.errors import DeadlineExceeded, Unavailable
from serve_app.runtimes.threads import MAY_HANG
from tests.unit.deployments.conducted import double, settled, unwanted
from tests.unit.held import soon
from tests.unit.models import Hangs
from tests.unit.planes import call, tensor

HANG, FINE = [[-1.0, 0.0]], [[1.0, 2.0]]


@pytest.fixture
def gate():
    Hangs.gate.clear()
    yield Hangs.gate
    Hangs.gate.set()


def hanging(**more):
    return double("a", hangAfter=0.05, **more) | {"class": "tests.unit.models:Hangs"}


async def asked(it, row):
    request = call(tensor(row), model="a", parameters={"timeout": 100_000})
    return (await soon(it.plane.infer(request))).outputs[0].data[0, 0]


async def until_ready(it, wanted):
    async with asyncio.timeout(10):
        while it.plane.model_ready("a") is not wanted:  # noqa: ASYNC110 - a thread's doing
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("more", [{}, {"batching": {"maxBatchSize": 4}}], ids=["alone", "batched"])
async def test_it_is_a_504_for_its_own_client_alone(it, gate, more):
    await it.serve(hanging(**more), double("b"))
    for _ in range(MAY_HANG):
        with pytest.raises(DeadlineExceeded):
            await asked(it, HANG)
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await asked(it, FINE) == 2
                    break
                except DeadlineExceeded:  # its thread isn't known to hang yet
                    pass
    assert it.plane.model_ready("a")
    with pytest.raises(DeadlineExceeded):
        await asked(it, HANG)
    await until_ready(it, False)
    reason = f"model 'a' is not ready: {MAY_HANG + 1} of its predictions hang"
    with pytest.raises(Unavailable, match=reason):
        await asked(it, FINE)
    assert it.index() == [("a", "1", "UNAVAILABLE"), ("b", "1", "READY")]
    assert await it.answer("b") == 2
    gate.set()  # they end after all
    await until_ready(it, True)
    assert await asked(it, FINE) == 2
    assert it.index() == [("a", "1", "READY"), ("b", "1", "READY")]


async def test_another_configuration_takes_its_place(it, gate):
    await it.serve(hanging())
    for _ in range(MAY_HANG + 1):
        with pytest.raises((DeadlineExceeded, Unavailable)):
            await asked(it, HANG)
        await asyncio.sleep(0.1)
    await it.serve(double("a", 5))
    assert await it.answer("a") == 5
    gate.set()
    await settled()
    assert it.index() == [("a", "1", "READY")]
    await unwanted(it)
