"""What a replica says of its fetch, as a Router finds it beside Serve's status."""

import pytest

from serve_app.deployments import router
from tests.unit.deployments.conducted import app


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"status": "DEPLOYING", "running": 0}, "fetching 1.2 of 4.0 GB"),
        ({"status": "DEPLOYING", "running": 1}, "Serve's"),  # others serve on
        ({"status": "DEPLOY_FAILED", "running": 0}, "Serve's"),
        ({"status": "RUNNING", "running": 1}, "Serve's"),
    ],
)
def test_only_of_what_is_still_coming(monkeypatch, changes, shown):
    apps = {"m": app("m", message="Serve's", **changes), "n": app("n", status="DEPLOYING", running=0)}
    notes = {"progress/m": "fetching 1.2 of 4.0 GB"}
    monkeypatch.setattr(router, "serve_applications", dict)
    monkeypatch.setattr(router, "remote_apps", lambda found: dict(apps))
    monkeypatch.setattr(router, "left", lambda name: notes.get(name, ""))
    _, found = router._looked_at()
    assert found["m"].message == shown
    assert found["n"] == apps["n"]
