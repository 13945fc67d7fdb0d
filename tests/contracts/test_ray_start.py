"""Ray's hooks into the processes of a node."""

import importlib
import inspect
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ray._private import node as node_module
from ray._private import ray_constants, services
from ray._private.node import Node

from serve_app.errors import ConfigError
from serve_app.internals import ray_start


def test_a_worker_s_head_is_looked_up_by_a_function_that_can_be_replaced():
    """RAY_START_HOOK does it; Ray calls it by its name in this module."""
    assert list(inspect.signature(services.resolve_ip_for_localhost).parameters) == ["host"]
    callers = [name for name, function in vars(services).items() if _calls(function)]
    assert callers, "nothing in the module calls it any more"


def _calls(function: object) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and "resolve_ip_for_localhost" in code.co_names


def test_names_of_hooks():
    hooks = set(ray_start.on_loopback_by_hooks(Path("folder")))
    assert ray_constants.RAY_START_HOOK in hooks
    assert ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR in hooks


def test_what_the_hooks_name_is_there():
    hooks = ray_start.on_loopback_by_hooks(Path("folder"))
    for name in (ray_constants.RAY_START_HOOK, ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR):
        module, _, function = hooks[name].rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


def test_a_node_starts_its_autoscaler_by_a_method_that_can_be_replaced():
    """`ray.init` has no word for it; `ray start --no-monitor` leaves the same method out."""
    assert list(inspect.signature(Node.start_monitor).parameters) == ["self"]
    assert "start_monitor" in Node.start_head_processes.__code__.co_names


def test_a_node_that_starts_slowly_is_waited_for(monkeypatch):
    """Ray asks by this function whether it is there, and looks at its clock between two calls."""
    assert list(inspect.signature(services.get_node).parameters) == ["gcs_address", "node_id"]
    assert {"services", "get_node", "monotonic"} <= set(Node.__init__.__code__.co_names)
    asked = list[tuple[str, str]]()

    def get_node(address, node):
        asked.append((address, node))
        if len(asked) < 4:
            raise RuntimeError("not found")
        return {"labels": {}}

    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setattr(ray_start.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(ray_start, "_raylet_lives", lambda: True)
    ray_start.patient()
    assert services.get_node("head:1", "ab") == {"labels": {}}
    assert asked == [("head:1", "ab")] * 4
    for name, value in (("_START_S", -1.0), ("_raylet_lives", lambda: False)):
        asked.clear()
        with monkeypatch.context() as changed:
            changed.setattr(ray_start, name, value)
            with pytest.raises(RuntimeError, match="not found"):
                services.get_node("head:1", "ab")
        assert len(asked) == 1  # it is late, or dead


def test_a_raylet_that_lives_is_known_by_its_name(tmp_path):
    assert not ray_start._raylet_lives()
    (tmp_path / "raylet").write_bytes(Path("/bin/sleep").read_bytes())
    (tmp_path / "raylet").chmod(0o700)
    with subprocess.Popen([tmp_path / "raylet", "60"]) as one:
        assert ray_start._raylet_lives()
        one.kill()
        until = time.monotonic() + 20
        while ray_start._raylet_lives() and time.monotonic() < until:  # nobody has waited for it yet
            time.sleep(0.01)
        assert not ray_start._raylet_lives()


def test_the_options_of_ray_start():
    assert {"num-cpus", "dashboard-host", "block", "resources", "no-monitor"} <= ray_start.options()
    assert "num-cpu" not in ray_start.options()


def test_a_node_starts_its_dashboard_by_a_method_that_can_be_replaced():
    how = inspect.signature(Node.start_api_server).parameters
    assert list(how) == ["self", "include_dashboard", "raise_on_failure"]
    assert "start_api_server" in Node.start_head_processes.__code__.co_names
    assert isinstance(Node.webui_url, property)


def test_a_dashboard_begins_when_it_is_told_to_and_the_thread_stays(monkeypatch):
    """Ray's children end with the thread that started them (prctl(2), PR_SET_PDEATHSIG)."""

    class Begun:
        webui_url = None

        def start_api_server(self, *, include_dashboard, raise_on_failure):
            assert (include_dashboard, raise_on_failure) == (True, True)
            begun.append(threading.current_thread())
            if self.webui_url is None:
                raise RuntimeError("no port")

    begun: list[threading.Thread] = []
    monkeypatch.setattr(node_module, "Node", Begun)
    for url in ("127.0.0.1:8265", None):
        monkeypatch.setattr(Begun, "webui_url", url)
        with monkeypatch.context() as changed:
            changed.setattr(Begun, "start_api_server", Begun.start_api_server)
            late = ray_start.LateDashboard()
            Begun().start_api_server(include_dashboard=True, raise_on_failure=True)
            before = len(begun)
            late.start()
            if url:
                assert late.address() == url
                late.look()
            else:
                for asked in (late.address, late.look):
                    with pytest.raises(ConfigError, match="Ray's dashboard can't start: no port"):
                        asked()
        assert len(begun) == before + 1
        assert begun[-1].is_alive()
        assert begun[-1].daemon
