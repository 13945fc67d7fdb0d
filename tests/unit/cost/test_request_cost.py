"""A feature that is off costs nothing on a request's way: what Python does for one is counted.

Times depend on the machine, the number of instructions doesn't. One function call more is found.
"""

import asyncio
from typing import Any

import pytest

from tests.unit.cost.bounds import VERSION, Bounds, bounds
from tests.unit.cost.ways import REQUESTS, UNHEARD, costs

RENEW = "`python -m tests.unit.cost` counts anew and writes the bounds"
# Python's patch releases, asyncio's turns and uvicorn's own are no affair of ours.
OTHERS = 0.03


class Deaf:
    """An observer that hears nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@pytest.fixture(scope="module")
def found() -> Bounds:
    return asyncio.run(costs())


if not bounds():
    pytest.skip(f"nobody has counted with Python {VERSION}: {RENEW}", allow_module_level=True)


@pytest.mark.parametrize("name", [*REQUESTS, UNHEARD])
def test_a_request_costs_what_it_did(found: Bounds, name: str) -> None:
    (ours, every), (most, most_of_all) = found[name], bounds()[name]
    assert ours <= most, f"{ours - most} instructions more than {most}; if they are worth it, {RENEW}"
    assert ours > 0.99 * most, f"{most - ours} instructions fewer than {most}: {RENEW}"
    assert every <= most_of_all * (1 + OTHERS), f"{every} with all it calls, not {most_of_all}: {RENEW}"


def test_a_call_more_is_found() -> None:
    """Of an observer that does nothing."""
    ((name, (ours, _)),) = asyncio.run(costs(Deaf(), of=["gRPC"])).items()
    assert ours > bounds()[name][0]
