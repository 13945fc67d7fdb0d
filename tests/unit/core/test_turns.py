"""Requests that run one by one have their turn in the order of their coming."""

import asyncio

import pytest

from serve_app.core.places import Room
from serve_app.core.turns import Turns
from serve_app.errors import Gone

INF = float("inf")


async def wait(turns: Turns, name: str, called: list[str]) -> asyncio.Task:
    async def come() -> None:
        if not turns.enter():
            await turns.its_turn()
        called.append(name)

    task = asyncio.create_task(come())
    await asyncio.sleep(0)
    return task


async def test_so_many_at_a_time_in_order():
    turns, called = Turns(1, 2), []
    for name in "abcd":
        await wait(turns, name, called)
    assert called == ["a", "b"]
    assert turns.waiting.ahead == 3
    turns.leave(1.0)
    await asyncio.sleep(0)
    assert called == ["a", "b", "c"]
    assert turns.waiting.ahead == 2


async def test_who_gives_up_is_skipped():
    turns, called = Turns(1, 1), []
    tasks = [await wait(turns, name, called) for name in "abc"]
    tasks[1].cancel()
    await asyncio.sleep(0)
    assert turns.waiting.ahead == 1
    turns.leave(1.0)
    await asyncio.sleep(0)
    assert called == ["a", "c"]


async def test_who_gives_up_with_a_turn_that_has_just_come_hands_it_on():
    turns, called = Turns(1, 1), []
    tasks = [await wait(turns, name, called) for name in "abc"]
    turns.leave(1.0)  # b's turn, of which it doesn't know yet
    tasks[1].cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert called == ["a", "c"]
    turns.leave(2.0)
    assert turns.waiting.ahead == -1
    assert turns.enter()


async def test_more_room_lets_more_in_and_less_nobody_out():
    turns, called = Turns(1, 1), []
    for name in "abcd":
        await wait(turns, name, called)
    turns.resize(2, 3)
    await asyncio.sleep(0)
    assert called == ["a", "b", "c"]
    assert turns.waiting.ahead == 2
    turns.resize(1, 1)
    turns.leave(1.0)
    turns.leave(1.0)
    await asyncio.sleep(0)
    assert called == ["a", "b", "c"]
    turns.leave(1.0)
    await asyncio.sleep(0)
    assert called == ["a", "b", "c", "d"]


async def test_of_a_model_that_is_removed_what_waits_is_refused_and_what_runs_ends():
    turns, called = Turns(1, 1), []
    tasks = [await wait(turns, name, called) for name in "abc"]
    tasks[2].cancel()
    turns.close()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [type(None), Gone, asyncio.CancelledError]
    with pytest.raises(Gone):
        turns.enter()
    turns.leave(1.0)
    assert turns.waiting.ahead == -1


async def test_without_a_bound_they_are_counted_all_the_same():
    turns = Turns(2, INF)
    assert all(turns.enter() for _ in range(10))
    assert turns.waiting.ahead == 8


def test_what_is_given_up_isnt_taken_for_pace():
    turns = Turns(1, INF)
    for _ in range(50):
        turns.enter()
    turns.leave(1.0)
    for _ in range(20):
        turns.leave(None)
    turns.leave(3.0)
    assert turns.waiting.expected(3.0) == pytest.approx(27 * 2.0 / 3)  # one sample, which counts a third


@pytest.mark.parametrize(("others", "share"), [(0, 512), (1, 341), (3, 205)])
def test_each_model_has_as_much_room_as_is_left(others, share):
    room, held = Room(1024), [0] * (others + 1)
    for _ in range(2000):
        for index in range(others + 1):
            if not room.full(held[index]):
                held[index] += 1
                room.taken += 1
    assert all(abs(one - share) <= 1 for one in held)
    assert not room.full(0)  # whoever comes anew
