"""What happens to a RayService in its life, each under a steady stream."""

import contextlib
import copy
import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from loadtests.proofs.local import Local, State, condition, settled
from loadtests.proofs.manifest import WORKERS, config_of, with_config


@dataclass(frozen=True)
class Event:
    """`run` returns when it is over: when it began (`time.monotonic`), and what was seen.

    Where it isn't `lossless`, what is sent later than `gap` seconds after it began must be answered.
    """

    title: str
    run: Callable[[Local, dict[str, Any]], tuple[float, str]]
    lossless: bool = True
    gap: float = 0
    least_seconds: float = 40  # of load around it


def _in_place(local: Local, manifest: dict[str, Any]) -> tuple[float, str]:
    """The Router's models and the remote model's limits change, with no replica replaced."""
    config = config_of(manifest)
    (router,) = config["applications"][0]["deployments"]
    models = router["user_config"]["models"]
    models.append({**models[0], "name": "second"})
    began = time.monotonic()
    local.apply(with_config(manifest, config))
    _wait_for_model(local, "second")
    return began, "a model was added on both Routers"


def _replaced(local: Local, manifest: dict[str, Any]) -> tuple[float, str]:
    """Every replica of the Router and of the remote model is stopped and another one started."""
    config = config_of(manifest)
    (router,) = config["applications"][0]["deployments"]
    router["ray_actor_options"] = {**router.get("ray_actor_options", {}), "num_cpus": 0.3}
    config["applications"][1]["deployments"][0]["ray_actor_options"] = {"num_cpus": 0.7}
    before = _replicas(local.state())
    began = time.monotonic()
    local.apply(with_config(manifest, config))
    state = local.until(lambda s: settled(s, WORKERS) and not before & _replicas(s), "new replicas")
    return began, f"{len(before)} replicas were replaced by {len(_replicas(state))}"


def _switched(local: Local, manifest: dict[str, Any]) -> tuple[float, str]:
    """A variable of the pods changes: a second cluster, the switch-over, the end of the first."""
    old = _active(local.state())
    changed = copy.deepcopy(manifest)
    for group in _groups(changed):
        group["template"]["spec"]["containers"][0]["env"].append({"name": "PROOF", "value": "1"})
    began = time.monotonic()
    local.apply(changed)
    local.until(lambda s: condition(s, "UpgradeInProgress"), "a second cluster")
    state = local.until(lambda s: _active(s) != old and settled(s, WORKERS), "a switch-over")
    switched = time.monotonic() - began
    local.until(lambda s: old not in s["clusters"], "the old cluster's end")
    ended = time.monotonic() - began
    return began, f"{old} to {_active(state)} in {switched:.0f} s, the old one gone after {ended:.0f} s"


def _killed(local: Local, manifest: dict[str, Any]) -> tuple[float, str]:
    """All processes of a worker node die at once, as when a machine does."""
    nodes = local.state()["activeServiceStatus"]["nodes"]
    victim = next(node for node in nodes if node["group"] != "head")
    family = []
    for pid in victim["pids"]:
        with contextlib.suppress(psutil.NoSuchProcess):
            family.append(psutil.Process(pid))
            family[-1].kill()
    # What is sent from here on goes to nodes that are left. It takes the kernel some time to end a
    # process with much memory; until then it holds its connections.
    while any(_runs(process) for process in family):
        time.sleep(0.001)
    began = time.monotonic()
    local.until(lambda s: _without(s, victim) and settled(s, WORKERS), "a new worker that serves")
    return began, f"another node served {time.monotonic() - began:.0f} s later"


def _unproxied(local: Local, manifest: dict[str, Any]) -> tuple[float, str]:
    """HAProxy of one of the nodes dies; the node and its Router stay."""
    nodes = local.state()["activeServiceStatus"]["nodes"]
    victim = next(node for node in nodes if node["group"] != "head")
    began = time.monotonic()
    for process in _proxies(victim):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    local.wait(lambda: any(map(_runs, _proxies(victim))), 30, "no HAProxy came back")
    back = time.monotonic() - began
    time.sleep(10)  # Serve replaces the manager, whose HAProxy takes over
    return began, f"another HAProxy ran {back:.1f} s later"


def _proxies(node: dict[str, Any]) -> list[psutil.Process]:
    found = set[psutil.Process]()
    for pid in node["pids"]:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            found |= {one for one in family if one.name() == "haproxy"}
    return list(found)


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _without(state: State, node: dict[str, Any]) -> bool:
    return node["name"] not in [one["name"] for one in state["activeServiceStatus"]["nodes"]]


def _groups(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = manifest["spec"]["rayClusterConfig"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def _active(state: State) -> str:
    return str(state["activeServiceStatus"].get("rayClusterName"))


def _replicas(state: State) -> set[str]:
    apps = state["activeServiceStatus"]["applicationStatuses"].values()
    deployments = [one for app in apps for one in app["serveDeploymentStatuses"].values()]
    return {replica for one in deployments for replica in one["replicas"]}


def _wait_for_model(local: Local, name: str) -> None:
    """Ready on every Router: asked often enough over new connections to meet each."""
    deadline, good = time.monotonic() + 60, 0
    while good < 10:
        if time.monotonic() > deadline:
            raise RuntimeError(f"model {name} isn't ready everywhere")
        client = http.client.HTTPConnection("127.0.0.1", local.target.port, timeout=10)
        with contextlib.closing(client):
            client.request("GET", f"/v2/models/{name}/ready")
            good = good + 1 if client.getresponse().status == 200 else 0
        time.sleep(0.1)


EVENTS = {
    "in-place": Event("serveConfigV2 changed in place", _in_place),
    "replace": Event("every replica replaced", _replaced),
    "switch": Event("switch-over to a second cluster", _switched, least_seconds=150),
    "kill": Event("a worker node killed", _killed, lossless=False, least_seconds=60),
    "proxy": Event("HAProxy of one of two nodes killed", _unproxied, lossless=False, gap=3),
}
