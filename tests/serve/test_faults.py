"""Processes that are killed under verified traffic: how long nobody is answered, and what is left.

Each case prints what docs/operations.md has in its table.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from tests.serve.beside import Beside
from tests.serve.live import ENV, deploy, processes, until
from tests.server import QUICKSTART, Server

pytestmark = [pytest.mark.long, pytest.mark.live]
MANAGER, ROUTER = "ray::HAProxyManager", "ray::ServeReplica:tandem:Router"


@pytest.fixture(scope="module")
def one(start_module_server, demo_models) -> Server:
    """The quickstart, with one Router."""
    return start_module_server(QUICKSTART, env=ENV)


def pids(server: Server, name: str) -> list[int]:
    return [one.pid for one in processes(server, name)]


def haproxies(server: Server) -> list[psutil.Process]:
    found = []
    for each in server.family():
        try:
            found += [each] * (each.name() == "haproxy" and each.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            continue
    return found


def haproxy(server: Server) -> psutil.Process:
    """The one that serves; others may be finishing what they have."""
    return max(haproxies(server), key=psutil.Process.create_time)


def under_traffic(
    server: Server, what: str, kill: Callable[[], None], seconds: float, *kinds: str
) -> Beside:
    with Beside(server, *(kinds or ("http", "grpc")), pause=0.005) as beside:
        time.sleep(2)
        kill()
        time.sleep(seconds)
    print(f"\n{what}; beside: {beside.said()}")
    return beside


def test_haproxy_is_killed(one: Server) -> None:
    (manager,) = processes(one, MANAGER)
    beside = under_traffic(one, "HAProxy killed", lambda: haproxy(one).kill(), 8)
    assert beside.gap < 3
    until(
        lambda: processes(one, MANAGER) and processes(one, MANAGER)[0].pid != manager.pid,
        "a new manager",
    )
    again = under_traffic(one, "killed again", lambda: haproxy(one).kill(), 8)
    assert again.gap < 3
    until(lambda: len(haproxies(one)) == 1, "one HAProxy")


def test_its_manager_is_killed(one: Server) -> None:
    until(lambda: len(processes(one, MANAGER)) == 1, "a manager")
    (manager,) = processes(one, MANAGER)
    beside = under_traffic(one, "HAProxy's manager killed", manager.kill, 12)
    assert beside.lost <= 2
    assert beside.gap < 1
    until(
        lambda: processes(one, MANAGER) and processes(one, MANAGER)[0].pid != manager.pid,
        "a new manager",
    )
    until(lambda: len(haproxies(one)) == 1, "one HAProxy", 150)


def test_the_only_router_is_killed(one: Server) -> None:
    (router,) = processes(one, ROUTER)
    beside = under_traffic(one, "the only Router killed", router.kill, 16, "grpc")
    assert beside.gap < 30  # as long as it takes to start
    with one.http() as http:
        until(lambda: http.get("/v2/health/ready").status_code == 200, "a Router")


def test_one_of_two_routers_is_killed(start_server, demo_models, tmp_path: Path) -> None:
    config = yaml.safe_load(QUICKSTART.read_text())
    config["applications"][0]["deployments"][0]["num_replicas"] = 2
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(config))
    server = start_server(file, env=ENV)
    until(lambda: len(processes(server, ROUTER)) == 2, "two Routers")
    kinds = ("http", "http", "grpc", "grpc")
    kill = lambda: processes(server, ROUTER)[0].send_signal(signal.SIGKILL)  # noqa: E731
    beside = under_traffic(server, "one of two Routers killed", kill, 8, *kinds)
    assert beside.lost <= len(kinds)  # one in flight of each
    assert beside.gap < 2


def test_a_router_is_replaced_by_a_deploy(one: Server, tmp_path: Path) -> None:
    """A change that takes a new process: not one request of any protocol is lost."""
    config = yaml.safe_load(QUICKSTART.read_text())
    config["applications"][0]["deployments"][0]["ray_actor_options"] = {"num_cpus": 0.4}
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump(config))
    (router,) = processes(one, ROUTER)

    def replace() -> None:
        deploy(one, file)
        until(lambda: not router.is_running(), "the old Router is gone", 120)

    kinds = ("http", "http", "grpc", "grpc", "stream")
    beside = under_traffic(one, "the only Router replaced by a deploy", replace, 4, *kinds)
    assert beside.errors == []
    assert beside.gap < 2
