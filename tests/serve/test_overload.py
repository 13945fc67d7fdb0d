"""Three times what a model can do, with verified traffic to others beside it.

Each case prints what docs/operations.md has in its table.
"""

import asyncio

import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV
from tests.serve.open_loop import Grpc, Http, OpenLoop, capacity
from tests.server import Server

pytestmark = pytest.mark.long

TIMEOUT, AT_ONCE, SECONDS_EACH = 4, 4, 0.02
BEFORE, FILLING, MEASURED = 3.0, 4.0, 8.0
WAYS = {"http": Http, "grpc": Grpc}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start_module_server) -> Server:
    model = {"concurrency": AT_ONCE, "options": {"seconds": SECONDS_EACH}}
    config = write(
        tmp_path_factory.mktemp("overload") / "config.yaml",
        router(
            python("Slow", **model),
            {"name": "echo", "modelFormat": "python", "class": "serve_app.demo.identity:Identity"},
            limits={"timeout": TIMEOUT},
        ),
        remote("far", "Slow", **model),
        remote("quiet", "Slow", options={"seconds": 0.002}),
    )
    return start_module_server(config, env=ENV)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["slow", "far"])
def test_a_model_that_gets_three_times_what_it_can_do(server: Server, model: str, way: str) -> None:
    asyncio.run(overload(server, model, way))


async def overload(server: Server, model: str, way: str) -> None:
    ask = WAYS[way](server, model)
    asked = {(one, by): WAYS[by](server, one) for one in ("echo", "quiet") for by in WAYS}
    beside = {key: OpenLoop(other, 25.0, seed) for seed, (key, other) in enumerate(asked.items())}
    at_most = await capacity(ask, 4 * AT_ONCE, BEFORE)
    before = await asyncio.gather(*(one.run(BEFORE) for one in beside.values()))
    loud = OpenLoop(ask, 3 * at_most, 77)
    filling = [one.run(FILLING) for one in (loud, *beside.values())]
    first, *early = await asyncio.gather(*filling)
    found, *during = await asyncio.gather(*(one.run(MEASURED) for one in (loud, *beside.values())))
    goodput = found.ended["ok"] / MEASURED / at_most
    refused = "503" if way == "http" else "RESOURCE_EXHAUSTED"
    print(
        f"\n{model} by {way}: at most {at_most:.0f}/s, got {3 * at_most:.0f}/s: goodput {goodput:.2f}, "
        f"{dict(found.ended)}, p50 {found.quantile(0.5):.2f} s, p99 {found.quantile(0.99):.2f} s, "
        f"Retry-After {dict(ask.hints)}; filling: {dict(first.ended)}"
    )
    for (name, by), was, is_now in zip(beside, before, during, strict=True):
        print(
            f"  beside: {name} by {by}: {dict(is_now.ended)}, p50 {was.quantile(0.5) * 1000:.1f} -> "
            f"{is_now.quantile(0.5) * 1000:.1f} ms, p99 {was.quantile(0.99) * 1000:.1f} -> "
            f"{is_now.quantile(0.99) * 1000:.1f} ms"
        )
    rest = await loud.over()
    await asyncio.gather(*(one.over() for one in beside.values()))
    for other in (ask, *asked.values()):
        await other.close()
    assert goodput >= 0.9
    assert found.ended[refused] >= 0.5 * found.ended.total()
    assert set(found.ended | first.ended | rest.ended) == {"ok", refused}
    for one in (*before, *early, *during):
        assert set(one.ended) == {"ok"}
