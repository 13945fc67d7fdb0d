"""Clients that leave: which of them show how long clients wait, and whom that turns away.

All seconds are virtual ones (tests.unit.core.virtual): a sleep says when something happens.
"""

import asyncio
import random
from collections.abc import Callable

import pytest

from serve_app.core.dataplane import DataPlane
from tests.unit.core.virtual import Traffic, Works, open_model, plane, virtually


def busy(seconds: Callable[[int], float], **extra: int) -> DataPlane:
    """One model, which takes so long for so many rows."""
    made = plane()
    made.timeout = 60.0
    open_model(made, "m", Works(1, seconds), 1, **extra)
    return made


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 8}])
def test_some_that_leave_at_once_turn_nobody_away(monkeypatch, extra):
    """They come first, and more come with them and after them who would wait."""

    async def work():
        made = busy(lambda rows: 0.1, **extra)
        hasty = Traffic(made, "m", 2000.0, random.Random(1), patience=0.05)
        patient = Traffic(made, "m", 2000.0, random.Random(2))
        await hasty.run(0.006)
        await patient.run(0.012)
        await asyncio.sleep(0.5)
        await hasty.run(0.002)
        await asyncio.sleep(0.1)  # those left too, and a few were answered
        await patient.run(0.006)
        await asyncio.gather(hasty.over(), patient.over())
        return sum(hasty.ended.values()), dict(patient.ended)

    some, ended = virtually(monkeypatch, work)
    assert 12 <= some <= 20
    assert set(ended) == {"ok"}


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 8}])
def test_a_client_that_is_killed_with_all_its_requests_turns_nobody_away(monkeypatch, extra):
    """Again and again; those who come after it would wait longer than it did."""

    async def work():
        made = busy(lambda rows: 0.02, **extra)
        found = []
        for seed in range(5):
            killed = Traffic(made, "m", 1000.0, random.Random(seed))
            await killed.run(0.3)
            await killed.die()
            others = Traffic(made, "m", 1000.0, random.Random(seed))
            await others.run(0.3)
            await others.over()
            found.append(dict(others.ended))
        return found

    assert [set(one) for one in virtually(monkeypatch, work)] == [{"ok"}] * 5


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 32}])
def test_clients_that_come_and_leave_together_show_how_long_they_wait(monkeypatch, extra):
    """200 at once, twice a second; a hundred a second can be answered, and they leave after 1.9 s."""

    async def work():
        made = busy(lambda rows: 0.01 * rows, **extra)
        bursts = Traffic(made, "m", 1e6, random.Random(1), patience=1.9)
        found = []
        for many in (40, 20):
            for _ in range(many):
                await bursts.run(0.0002)
                await asyncio.sleep(0.5)
            found.append(bursts.take())
        await bursts.over()
        return found

    assert virtually(monkeypatch, work)[1]["ok"] >= 0.85 * 10 * 100
