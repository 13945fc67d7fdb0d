"""`event_loop_policy` for a module's tests: each runs under asyncio's loop and under uvloop's."""

import asyncio

import pytest
import uvloop

POLICIES = {"asyncio": asyncio.DefaultEventLoopPolicy, "uvloop": uvloop.EventLoopPolicy}


@pytest.fixture(params=POLICIES)
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Replaces pytest-asyncio's own where a module imports it."""
    policy: asyncio.AbstractEventLoopPolicy = POLICIES[request.param]()
    return policy
