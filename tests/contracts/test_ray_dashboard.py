"""Where Ray says its dashboard is."""

import inspect

from ray.dashboard.utils import get_address_for_submission_client

from serve_app.internals.ray_dashboard import dashboard_of


def test_an_address_of_the_dashboard_is_given_back(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    assert dashboard_of("http://127.0.0.1:8265") == "http://127.0.0.1:8265"


def test_it_takes_one_address():
    assert list(inspect.signature(get_address_for_submission_client).parameters) == ["address"]
