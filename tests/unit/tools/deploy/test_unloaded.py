"""A deploy beside models that somebody unloaded."""

from serve_app.tools.deploy.outcome import outcomes
from serve_app.tools.deploy.pending import pending
from tests.unit.tools.deploy.test_outcomes import app, config, looked, model, remote, router, row, told


def test_what_was_unloaded_stays_so_and_isnt_waited_for():
    wanted = config(router(model("a"), model("b")), remote())
    index = [row(name, "", "UNAVAILABLE", "unloaded") for name in ("a", "one")] + [row("b")]
    after = looked(app(router(model("a"), model("b"))), app(remote()), r=told(), index=index)
    assert pending(wanted, after) == {}
    found = {one.model: (one.result, one.reason) for one in outcomes(wanted, after, after)}
    for name in ("a", "one"):
        assert found[name][0] == "refused"
        assert "tandem models load" in found[name][1]
