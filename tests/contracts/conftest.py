"""What the contracts are held against: the packages that are installed, and a Serve of Ray's own."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.live import found

NEEDS = "needs vLLM: `make test-llm`"


@pytest.fixture(scope="session")
def live() -> Callable[..., Any]:
    """`live(place, name)`: what was found there, in a replica that Serve runs."""
    seen = found()

    def at(*place: str) -> Any:
        here = seen
        for name in place:
            assert name in here, f"nothing found at {place}: {here}"
            here = here[name]
        return here

    return at
