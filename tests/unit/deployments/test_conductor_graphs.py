"""Graphs of a Router's configuration, beside models that come and go."""

import pytest

from serve_app.errors import NotFound
from tests.unit.deployments.conducted import app, double, failing, unwanted


def graph(*models: str, name: str = "g") -> dict:
    steps = [{"serviceName": one, "data": "$response", "dependency": "Hard"} for one in models]
    return {"name": name, "nodes": {"root": {"routerType": "Sequence", "steps": steps}}}


async def test_graphs_are_served_changed_and_dropped(it):
    await it.serve(double("a"), double("b", 3), graphs=[graph("a", "b")])
    assert await it.answer("g") == 6
    assert ("g", "1", "READY") in it.index()
    await it.serve(double("a"), double("b", 3), graphs=[graph("b", "b")])
    assert await it.answer("g") == 9
    await it.serve(double("a"), double("b", 3))
    with pytest.raises(NotFound, match="no model 'g'"):
        await it.answer("g")
    assert it.index() == [("a", "1", "READY"), ("b", "1", "READY")]
    await unwanted(it)


async def test_a_graph_over_an_application_s_model(it):
    await it.serve(double("a"), graphs=[graph("a", "m")])
    with pytest.raises(NotFound, match="no model 'm'"):
        await it.answer("g")
    await it.follow(app())
    await it.answer("g")
    assert it.plane.model_ready("g")
    assert it.plane.directory.model("m").pending == 0


async def test_a_graph_is_not_ready_while_a_model_is_not(it):
    await it.serve(double("a"), failing("b"), graphs=[graph("a", "b")])
    assert not it.plane.model_ready("g")
    assert "the disk is gone" in it.plane.why("g")
    assert it.plane.ready  # one model's trouble is its own


async def test_a_name_that_was_a_graph_s_may_be_a_model_s(it):
    await it.serve(double("a"), graphs=[graph("a")])
    await it.serve(double("a"), double("g", 7))
    assert await it.answer("g") == 7
    await it.serve(double("a"), graphs=[graph("a", "a")])
    assert await it.answer("g") == 4
    await unwanted(it)


async def test_limits_hold_for_graphs_too(it):
    await it.serve(double("a"), graphs=[graph("a")], limits={"maxQueuedRequests": 7})
    assert it.plane.directory.model("g").max_queued == 7
