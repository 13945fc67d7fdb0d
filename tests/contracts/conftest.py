"""What the contracts are held against: the packages that are installed, a Serve of Ray's own, and
an engine of vLLM's."""

from collections.abc import Callable
from typing import Any

import pytest

import tests.contracts.engine
import tests.contracts.live

NEEDS = "needs vLLM: `make test-llm`"


@pytest.fixture(scope="session")
def live() -> Callable[..., Any]:
    """`live(place, name)`: what was found there, in a replica that Serve runs."""
    return _at(tests.contracts.live.found())


@pytest.fixture(scope="session")
def engine() -> Callable[..., Any]:
    """The same of an engine of vLLM's."""
    pytest.importorskip("vllm", reason=NEEDS)
    return _at(tests.contracts.engine.found())


def _at(seen: Any) -> Callable[..., Any]:
    def at(*place: str) -> Any:
        here = seen
        for name in place:
            assert name in here, f"nothing found at {place}: {here}"
            here = here[name]
        return here

    return at
