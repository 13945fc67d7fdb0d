"""Serve's controller, asked by the driver that has started it."""

import inspect

import pytest
from ray.dashboard.modules.serve.serve_head import ServeHead
from ray.exceptions import GetTimeoutError, RayError
from ray.serve._private import api
from ray.serve._private.client import ServeControllerClient
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from serve_app.errors import ConfigError
from serve_app.internals import serve_client
from serve_app.internals.serve_variables import serve_variables
from serve_app.tools.run import serving
from serve_app.tools.run.environment import PROXY_CHECKS


def test_how_a_config_is_handed_over():
    inspect.signature(ServeControllerClient.deploy_apps).bind(object(), object())
    inspect.signature(ServeControllerClient.update_global_logging_config).bind(object(), object())


def test_serve_is_started_as_its_own_start_does_it():
    """What waits for the proxies there, waits later here."""
    names = inspect.unwrap(api.serve_start).__code__.co_names
    steps = {"_create_controller_and_proxy_refs", "ServeControllerClient", "_set_global_client"}
    assert steps <= set(names)
    assert steps <= set(serve_client.start.__code__.co_names)
    wanted = list(inspect.signature(api._create_controller_and_proxy_refs).parameters)
    assert wanted[:6] == [
        "http_options", "grpc_options", "global_logging_config", "global_tracing_config",
        "controller_options", "proxy_location",
    ]  # fmt: skip


def test_proxies_may_take_minutes_to_start():
    """Its controller has a limit of its own, from a variable."""
    assert set(PROXY_CHECKS) <= serve_variables()
    limit = PROXY_CHECKS["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"]
    assert int(limit) >= serving._PROXIES_S


def test_proxies_that_arent_there_yet_or_never(monkeypatch):
    said = [GetTimeoutError("not yet"), None, RayError("Traceback\n  cannot bind 1\nactor died")]

    def get(those, timeout):
        assert those == ["a proxy"]
        if (found := said.pop(0)) is not None:
            raise found

    monkeypatch.setattr("ray.get", get)
    monkeypatch.setattr(api, "_create_controller_and_proxy_refs", lambda *how: (None, ["a proxy"]))
    monkeypatch.setattr(api, "_set_global_client", lambda client: None)
    monkeypatch.setattr("ray.serve._private.client.ServeControllerClient", lambda controller: None)
    there = serve_client.start({"http_options": {}, "grpc_options": {}})
    assert [there(1), there(1)] == [False, True]
    with pytest.raises(ConfigError, match=r"a proxy .* can't start:   cannot bind 1; actor died"):
        there(1)


def test_the_rest_api_does_the_same():
    """Of what it does else, one is for a Serve that doesn't run yet, and one is Ray's statistics."""
    asked = set(inspect.unwrap(ServeHead.put_all_applications).__code__.co_names)
    assert {"model_validate", "update_global_logging_config", "deploy_apps"} <= asked
    ours = set(serve_client.deploy.__code__.co_names)
    assert {"model_validate", "update_global_logging_config", "deploy_apps"} <= ours


def test_what_a_config_is():
    schema = ServeDeploySchema.model_validate({"applications": [{"import_path": "a:b"}]})
    assert schema.logging_config is None
    assert "deploy(" not in serve_client.deploy({"applications": [{"route_prefix": "no"}]})


def test_a_state_is_said_by_its_name(monkeypatch):
    """Serve's details have an Enum there, of texts, which a text shows with its class's name."""

    found = {"a": {"status": ApplicationStatus.DEPLOYING}}
    monkeypatch.setattr(serve_client, "_client", lambda: None)
    monkeypatch.setattr(serve_client, "details", lambda client: found)
    assert f"{serve_client.applications()['a']['status']}" == "DEPLOYING"
