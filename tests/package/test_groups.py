"""Tests that share a server are one worker's (tests/conftest.py)."""

import pytest

pytestmark = pytest.mark.live  # none is behind these, but they run with the others


@pytest.mark.parametrize("of", ["one", "[another@]"])
def test_a_group_is_in_the_name_that_the_workers_are_given(
    request: pytest.FixtureRequest, of: str
) -> None:
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("]@test_groups")
