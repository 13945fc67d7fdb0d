"""What Serve's controller is asked for, and that it needn't answer."""

import inspect

import pytest
from ray.exceptions import GetTimeoutError, RayError
from ray.serve._private.client import ServeControllerClient
from ray.serve._private.controller import ServeController

from serve_app.internals import serve_details


def test_it_is_asked_as_serve_s_own_client_does():
    """Which waits for as long as it takes."""
    names = inspect.unwrap(ServeControllerClient.get_serve_details).__code__.co_names
    assert {"get", "_controller", "get_serve_instance_details", "remote"} <= set(names)
    inspect.signature(ServeController.get_serve_instance_details).bind(object())


class Method:
    def __init__(self, answer) -> None:
        self.remote = lambda: answer


class Client:
    """Of a controller that says this."""

    def __init__(self, answer) -> None:
        self._controller = self
        self.get_serve_instance_details = Method(answer)


def test_one_that_does_not_answer_is_waited_for_so_long(monkeypatch):
    said = {"applications": {"a": {}}}

    def get(asked, timeout):
        if asked is None:
            raise GetTimeoutError(f"nothing for {timeout} s")
        return asked

    monkeypatch.setattr("ray.get", get)
    assert serve_details.details(Client(said)) == {"a": {}}
    with pytest.raises(RayError, match=r"nothing for 20\.0 s"):
        serve_details.details(Client(None))
