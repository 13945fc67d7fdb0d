"""What a replica says of its fetch, as a Router finds it beside Serve's status."""

import pytest

from serve_app.deployments import router
from serve_app.releases.since import refusals
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


@pytest.mark.parametrize(
    ("status", "running", "said", "shown"),
    [
        (
            "DEPLOYING",
            0,
            "no route to host; tried again in 5 s",
            ("no route to host; tried again in 5 s", ""),
        ),
        (
            "DEPLOYING",
            1,
            "no route to host; tried again in 5 s",
            ("", "no route to host; tried again in 5 s"),
        ),
        ("DEPLOYING", 1, "fetching 1.2 of 4.0 GB", ("", "")),
        ("RUNNING", 1, "no route to host; tried again in 5 s", ("", "")),
    ],
)
def test_what_cant_start_for_now_says_so_beside_those_that_serve(
    monkeypatch, status, running, said, shown
):
    monkeypatch.setattr(router, "serve_applications", dict)
    apps = {"m": app("m", status=status, running=running)}
    monkeypatch.setattr(router, "remote_apps", lambda found: dict(apps))
    monkeypatch.setattr(router, "left", lambda name: said)
    called = list[tuple[str, float]]()
    monkeypatch.setattr(router, "call", lambda *told: called.append(told))
    _, found = router._looked_at()
    assert (found["m"].message, found["m"].trying) == shown
    waits = status == "DEPLOYING" and "tried again" in said
    assert called == ([("m", apps["m"].stamp)] if waits else [])
    refused = {"m": f"its application is DEPLOYING: {shown[1]}"} if shown[1] else {}
    assert refusals({}, found) == refused
    assert refusals(refused, {"m": app("m")}) == {}  # it runs
