"""When what failed for now is tried again."""

import asyncio

import pytest

from serve_app.core import later
from serve_app.core.later import Again, pause, with_pause
from tests.unit.held import soon


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300), (10_000, 300)],
)
def test_soon_then_less_and_less_often(failures, seconds):
    assert pause(failures, 0.5) == seconds
    assert pause(failures, 0) == pytest.approx(0.8 * seconds)
    assert pause(failures, 1) == pytest.approx(1.2 * seconds)


async def test_each_has_its_own_moment(monkeypatch):
    monkeypatch.setattr(later, "FIRST_S", 0.002)
    due = asyncio.Queue[str]()
    again = Again(due.put_nowait)
    assert 0.0016 <= again.later("a") <= 0.0024
    again.later("b")
    again.forget("b")
    assert 0 < again.left("a") <= 0.0024
    assert again.left("b") == 0
    assert await soon(due.get()) == "a"
    assert again.left("a") == 0
    assert again.later("a") >= 0.0032  # the second in a row
    again.later("b")  # the first
    assert {await soon(due.get()), await soon(due.get())} == {"a", "b"}
    again.later("a")
    again.forget_all()
    assert again.later("a") <= 0.0024
    assert await soon(due.get()) == "a"
    assert due.empty()


def test_credentials_arent_said_with_it():
    said = with_pause(ValueError("https://me:hush@bucket/x?sig=hush: no route"), 5)
    assert "hush" not in said
    assert said.endswith("; tried again in 5 s")
