"""When what failed for now is tried again."""

import asyncio
import time

import pytest

from serve_app.core import later
from serve_app.core.later import Again, pause, until_done, with_pause
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


async def test_a_deploy_ends_a_pause(monkeypatch):
    monkeypatch.setattr(later, "FIRST_S", 600.0)
    monkeypatch.setattr(later, "LONGEST_S", 600.0)
    monkeypatch.setattr(later, "LOOK_S", 0.001)
    deploys, tries, said = [False, True, False, True], list[float](), list[str]()

    async def work() -> str:
        tries.append(time.time())
        if len(tries) < 3:
            raise ConnectionError("away")
        return "done"

    def deployed(since: float) -> bool:
        assert tries[-1] - 1 < since <= tries[-1]
        return deploys.pop(0)

    assert await soon(until_done(work, lambda error: True, said.append, deployed)) == "done"
    assert (len(tries), deploys) == (3, [])
    assert all(480 <= float(one.split()[-2]) <= 720 for one in said)  # the first pause, both times


async def test_what_lasts_ends_it():
    async def work() -> None:
        raise PermissionError("no")

    with pytest.raises(PermissionError):
        await soon(until_done(work, lambda error: False, print))


def test_credentials_arent_said_with_it():
    said = with_pause(ValueError("https://me:hush@bucket/x?sig=hush: no route"), 5)
    assert "hush" not in said
    assert said.endswith("; tried again in 5 s")
