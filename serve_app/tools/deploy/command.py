"""`tandem deploy FILE`: check it, hand it to the Ray that runs, wait, and say what became of it."""

import contextlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools import clusters
from serve_app.tools.check import load_checked
from serve_app.tools.clusters import Cluster
from serve_app.tools.dashboard import Dashboard
from serve_app.tools.deploy.look import Look, look
from serve_app.tools.deploy.outcome import Outcome, outcomes
from serve_app.tools.deploy.pending import pending
from serve_app.tools.kserve.translate import GROUP as KSERVE
from serve_app.tools.serve_names import Json

_SAY_S = 30  # what is still under way, again and again
_LOOK_S = 0.5
_ROUTING = ".user_config.routing."


def run(path: Path, address: str | None, http: str, timeout: float, as_json: bool) -> int:
    """0 when all that the file asks for is served, 1 when not; ConfigError when it can't be tried."""
    path = path.absolute()
    cluster = clusters.find(address, path)
    config = _checked(path, cluster)
    dashboard, serve = clusters.ask(cluster)
    before = look(serve, http)
    print(f"deploying {path} to {cluster.url}", file=sys.stderr, flush=True)
    clusters.deploy(dashboard, config, path)
    try:
        after = _settled(dashboard, config, http, timeout)
    except KeyboardInterrupt:
        print("\nno longer waited for: the deployment goes on", file=sys.stderr)
        return 130
    found = outcomes(config, before, after)
    served = all(one.served for one in found)
    if as_json:
        print(json.dumps({"served": served, "models": [asdict(one) for one in found]}, indent=1))
    else:
        print(table(found))
    return 0 if served else 1


def _checked(path: Path, cluster: Cluster) -> dict[str, Any]:
    """Where `tandem run` was started, relative paths lead somewhere else than here."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if kind := _kind(path):
        raise ConfigError(
            f"{path}: a {kind} is Kubernetes' (kubectl apply -f {path}, then tandem doctor NAME); "
            "tandem deploy takes a Serve config"
        )
    if not cluster.folder:
        return load_checked(path)
    lacking: list[str] = []  # on this machine, which is where it will be served
    with contextlib.chdir(cluster.folder):
        config = load_checked(path, lacking.append)
    # A model that lacks its files stays as it is. A route to a version that isn't there takes it away.
    if any(_ROUTING in line for line in lacking):
        raise ConfigError("\n".join(lacking))
    return config


def _of_kserve(document: dict[str, Any]) -> bool:
    """Whether it becomes a Serve config, with or without others beside it."""
    return str(document.get("apiVersion")).partition("/")[0] == KSERVE


def _kind(path: Path) -> str:
    """Of a manifest; '' for what is none, or can't be read: the check says why."""
    with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and document.get("kind") and not _of_kserve(document):
                return str(document["kind"])
    return ""


def _settled(dashboard: Dashboard, config: Json, http: str, timeout: float) -> Look:
    """Look until nothing is under way any more, or the time is over."""
    began = said = time.monotonic()
    while True:
        now: Look | None = None
        try:
            now = look(dashboard.serve(), http)
        except (OSError, ValueError) as error:  # busy, or a head that comes back
            waiting = {"Ray's dashboard": str(error)}
        if now is not None:
            waiting = pending(config, now)
        over = time.monotonic() - began > timeout
        if now is not None and (not waiting or over):
            return now
        if over:
            raise ConfigError(f"Ray's dashboard no longer answers: {waiting}")
        if time.monotonic() - said > _SAY_S:
            said = time.monotonic()
            for name, reason in waiting.items():
                seconds = f"{said - began:.0f} s"
                print(f"  {name}, after {seconds}: {reason}", file=sys.stderr, flush=True)
        time.sleep(_LOOK_S)


def table(found: list[Outcome]) -> str:
    """A line for each model, its reason below it where there is one."""
    names = max((len(one.model) for one in found), default=0)
    places = max((len(one.where) for one in found), default=0)
    lines = []
    for one in found:
        result = {"deploying": "still deploying"}.get(one.result, one.result)
        lines.append(f"  {one.model:<{names}}  {one.where:<{places}}  {result}")
        lines += [f"      {line}" for line in one.reason.splitlines()]
    refused = [one for one in found if not one.served]
    lines.append(
        f"{len(refused)} of {len(found)} not as asked for" if refused else "all of it is served"
    )
    return "\n".join(lines)
