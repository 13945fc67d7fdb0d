"""What starts later takes: a model that a request wakes from zero, a second replica, a killed Router.

python -m loadtests.again [--rounds 3]
"""

import argparse
import contextlib
import copy
import http.client
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import psutil
import yaml

from loadtests.answers import Refused, ask
from loadtests.requests import Request, echo, sentences
from loadtests.servers import ROOT, Server

_CONFIG = ROOT / "configs" / "bench.yaml"
_PAUSE_S, _PATIENCE_S = 0.02, 120
ECHO, TEXTS = "identity-remote", "sentences-remote"
# Serve's own keys: to zero as soon as nobody asks.
_SLEEPY = {
    "min_replicas": 0, "max_replicas": 1, "look_back_period_s": 1, "metrics_interval_s": 0.2,
    "upscale_delay_s": 0, "downscale_delay_s": 1, "downscale_to_zero_delay_s": 1,
}  # fmt: skip


def sleepy(config: dict[str, Any]) -> dict[str, Any]:
    """The benchmark's config, its models with processes of their own at zero when nobody asks."""
    changed = copy.deepcopy(config)
    for app in changed["applications"][1:]:
        app["args"]["autoscaling"] = {"minReplicas": 0, "maxReplicas": 1}
        app["deployments"] = [{"name": "ModelReplica", "autoscaling_config": _SLEEPY}]
    return changed


def with_replicas(config: dict[str, Any], count: int) -> dict[str, Any]:
    """The benchmark's config with so many replicas of the echo."""
    changed = copy.deepcopy(config)
    for app in changed["applications"][1:]:
        if app["name"] == ECHO:
            app["args"]["replicas"] = count
    return changed


def processes(server: Server, application: str) -> list[psutil.Process]:
    """An application's replicas."""
    found = []
    for one in server.family():
        with contextlib.suppress(psutil.Error):
            if one.cmdline()[:1] and one.cmdline()[0].startswith(f"ray::ServeReplica:{application}"):
                found.append(one)
    return found


def until(server: Server, true: Callable[[], object], what: str) -> float:
    """Seconds until it is true."""
    began = time.monotonic()
    server.wait(true, _PATIENCE_S, what, _PAUSE_S)
    return time.monotonic() - began


def answers(server: Server, request: Request) -> Callable[[], bool]:
    """Whether it is answered."""

    def asked() -> bool:
        with contextlib.suppress(Refused, OSError, http.client.HTTPException):
            ask(server.target, request)
            return True
        return False

    return asked


def asleep(server: Server, application: str) -> Callable[[], bool]:
    """Whether it has no replica."""
    return lambda: not processes(server, application)


def measured(config: dict[str, Any]) -> dict[str, float]:
    """Seconds, each once."""
    found = {}
    texts = sentences(model=TEXTS)[0]
    with Server("tandem", sleepy(config), ["identity", ECHO, TEXTS]) as server:
        for name, request in {ECHO: echo(ECHO), TEXTS: texts}.items():
            until(server, asleep(server, name), f"{name} never sleeps")
            what = "a request wakes the echo" if name == ECHO else "a request wakes the texts' model"
            found[what] = until(server, answers(server, request), what)
    with Server("tandem", with_replicas(config, 1), ["identity", ECHO, TEXTS]) as server:
        server.write(with_replicas(config, 2))
        command = [sys.executable, "-m", "serve_app", "deploy", str(server.config)]
        began = time.monotonic()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        found["a second replica of the echo, by `tandem deploy`"] = time.monotonic() - began
        (router,) = processes(server, "tandem")
        router.kill()
        router.wait()
        what = "a killed Router's successor answers"
        found[what] = until(server, answers(server, echo()), what)
    return found


def main() -> None:
    """In rounds: medians, and the least and the most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    config, found = yaml.safe_load(_CONFIG.read_text()), defaultdict(list)
    for _ in range(options.rounds):
        for what, seconds in measured(config).items():
            found[what].append(seconds)
            print(f"  {what}: {seconds:.2f} s", flush=True)
    print("\n| | s |\n|---|---|")
    for what, every in found.items():
        print(f"| {what} | {statistics.median(every):.1f} ({min(every):.1f}-{max(every):.1f}) |")


if __name__ == "__main__":
    main()
