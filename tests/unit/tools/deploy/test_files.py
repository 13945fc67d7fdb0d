"""A deploy of the same configuration is over when the Routers have looked at their models' files."""

from serve_app.tools.deploy.pending import pending
from tests.unit.tools.deploy.test_outcomes import app, asked, config, looked, remote, router, told


def test_a_router_that_hasnt_looked_yet_is_waited_for():
    def waits(**more):
        now = looked(app(router()), app(remote()), x=told(applications=asked(), **more))
        return pending(config(router(), remote()), now)

    assert waits(deployed=0.5) == {"tandem": "the Router hasn't looked at its models' files yet"}
    assert waits(deployed=2.0) == {}
    assert waits() == {}  # one of before, which doesn't say
