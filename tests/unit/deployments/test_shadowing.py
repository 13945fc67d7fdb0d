"""Shadows of Routers as they are configured, and what the Steward knows of all of them."""

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from serve_app.config import RouterUserConfig, parse
from serve_app.deployments import shadowing as module
from serve_app.deployments.shadowing import Shadowing
from serve_app.errors import NotFound, Unavailable
from serve_app.routing.tally import Pair
from tests.unit.core.shadow.shadowed import Heard, Model, Shadowed, off_by
from tests.unit.deployments.conducted import double
from tests.unit.planes import call, plane, tensor
from tests.unit.waiting import until

ROW = [[1.0, 2.0]]


@pytest.fixture(autouse=True)
def metrics() -> Iterator[None]:
    with mock.patch.object(module, "ShadowMetrics", Heard):
        yield


def config(**shadow: Any) -> RouterUserConfig:
    return parse(RouterUserConfig, {"routing": {"m": {"shadow": shadow} if shadow else {}}})


async def test_nobody_listens_while_there_is_none() -> None:
    made = plane()
    shadowing = Shadowing(made, lambda *_: None)
    assert shadowing.configure(config()) == ()
    assert (made.tap, shadowing.plain) == (None, {})
    (listens,) = shadowing.configure(config(version=2))
    assert made.tap is listens
    assert shadowing.plain["m"]["config"]["version"] == "2"
    assert shadowing.configure(config()) == ()
    assert (made.tap, shadowing.plain) == (None, {})


async def test_rollouts_hear_of_comparisons() -> None:
    told: list[tuple[str, str, str, bool]] = []

    def tell(model: str, pair: Pair, differs: bool) -> None:
        told.append((model, pair.primary, pair.shadow, differs))

    one = Shadowed(shadow=Model(off_by(1)))
    shadowing = Shadowing(one.plane, tell)
    one.plane.observers.each = shadowing.configure(config(version=2))
    await one.plane.infer(call(tensor(ROW)))
    await until(lambda: told)
    assert told == [("m", "1", "2", True)]


async def counted(requests: int) -> dict[str, Any]:
    """What a Router says that compared so many, all of which differ."""
    one = Shadowed(shadow=Model(off_by(1)), examples=2)
    for number in range(requests):
        await one.plane.infer(call(tensor(ROW), id=f"{requests}-{number}"))
    await until(lambda: len(one.heard.found) == requests)
    config = one.copies.config.model_dump(mode="json", by_alias=True)
    return {"m": {"config": config, **one.copies.plain}}


async def test_several_routers_are_summed(world: Any) -> None:
    one, two = world("r1"), world("r2")
    for router, requests in ((one, 2), (two, 3)):
        said = await counted(requests)
        router.live.shadows = lambda said=said: said
        await router.start(double("m"))
    await until(lambda: {"r1", "r2"} <= set(one.live._steward.holder.acks))
    found = await one.changing.shadowed("m")
    assert (found["model"], found["routers"], found["copied"]) == ("m", 2, 5)
    (pair,) = found["pairs"]
    assert (pair["compared"], pair["differed"], pair["share"]) == (5, 5, 1.0)
    assert len(pair["examples"]) == 2
    other = await counted(1)
    other["m"]["config"] = {**other["m"]["config"], "percent": 1.0}
    one.live.shadows = lambda: other  # it was told of another configuration, the other one not yet
    found = await one.changing.shadowed("m")
    assert (found["routers"], found["pairs"][0]["compared"]) == (1, 1)


async def test_a_model_without_one(world: Any) -> None:
    router = world("r1")
    await router.start(double("m"))
    found = await router.changing.shadowed("m")
    assert (found["config"], found["pairs"], found["routers"]) == (None, [], 0)
    with pytest.raises(NotFound):
        await router.changing.shadowed("other")
    world.handle.kill()
    with pytest.raises(Unavailable, match="Steward"):
        await router.changing.shadowed("m")
    await asyncio.sleep(0)
