"""A Tokenizer's encoders that are told to look, and what may come in between."""

import asyncio

import pytest
from ray.exceptions import ActorDiedError

from serve_app.deployments import encoders
from serve_app.errors import VersionGone
from tests.unit.deployments import test_encoders
from tests.unit.deployments.test_encoders import behind, change, length, made
from tests.unit.held import soon
from tests.unit.waiting import until

replica = test_encoders.replica


async def test_who_is_told_to_look_goes_on_when_who_told_it_ends(replica, monkeypatch):
    one = await behind(replica)
    ask, asked, go_on = one._recipe, asyncio.Event(), asyncio.Event()

    async def slowly(version):
        asked.set()
        await go_on.wait()
        return await ask(version)

    monkeypatch.setattr(one, "_recipe", slowly)
    first = asyncio.create_task(one.refresh())
    await soon(asked.wait())
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    await until(lambda: length(one) == 7)


@pytest.mark.parametrize("hang", [False, True])
async def test_replicas_that_say_nothing_hold_up_no_later_deploy(replica, monkeypatch, hang):
    replica.load(length=5)
    one = made(replica)
    await one.load()
    change(replica)
    ask = one._recipe

    async def silent(version):
        if hang:
            await asyncio.Event().wait()
        raise ActorDiedError

    monkeypatch.setattr(one, "_recipe", silent)
    monkeypatch.setattr(encoders, "_GONE_S", 0.05)
    asked = set()
    for _ in range(2):
        with pytest.raises(VersionGone, match=r"said for 0.05 s how version 1 reads texts"):
            await soon(one.refresh())
        asked.add(one._later)
    assert len(asked) == 1  # however often it is told
    assert length(one) == 5
    replica.load(length=7)
    monkeypatch.setattr(one, "_recipe", ask)
    await until(lambda: length(one) == 7)  # whether it is told again or not
