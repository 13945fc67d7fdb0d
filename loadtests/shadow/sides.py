"""The service: versions in a Router's process or in applications of their own, one of them a shadow."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import yaml

from loadtests.answers import Refused, get
from loadtests.bench.servers import CONFIG
from loadtests.client.target import Target
from loadtests.compare.sides import deploy
from loadtests.servers import Server
from loadtests.shadow.model import BAD, HONEST, PLANTED

NAME, TOKEN = "answers", "of-this-machine-alone"
VERSIONS = (HONEST, BAD, PLANTED)
_SETTLED_S, _LOOK_S = 60.0, 0.05


def config_of(
    folder: Path, options: dict[str, Any], inline: bool, shadow: str, number: int
) -> dict[str, Any]:
    """A Serve config; `shadow` is the version that gets all copies, '' for none, `number` its own."""
    model = {"modelFormat": "python", "class": "loadtests.shadow.model:Answers", "options": options}
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    router = config["applications"][0]
    router["args"] = {"admin": {"tokenFile": str(folder / "token")}}
    (folder / "token").write_text(TOKEN)
    route: dict[str, Any] = {"defaultVersion": HONEST}
    if shadow:
        route["shadow"] = {"version": shadow, "percent": 100, "concurrency": 4, "examples": 50}
    user = router["deployments"][0]["user_config"]
    user |= {"models": [], "routing": {NAME: route}, "generation": number}
    config["applications"] = [router]
    if inline:
        for version in VERSIONS:
            (folder / NAME / version).mkdir(parents=True, exist_ok=True)
        user["models"] = [{"name": NAME, **model, "storageUri": str(folder / NAME)}]
        return config
    for version in VERSIONS:
        args = {**model, "model": NAME, "versions": [version], "resources": {"num_cpus": 0.2}}
        config["applications"].append(
            {
                "name": f"{NAME}-{version}",
                "route_prefix": None,
                "import_path": "serve_app.app:build_model",
                "args": args,
            }
        )
    return config


def change(server: Server, config: dict[str, Any]) -> None:
    """Deploy it, and wait until it is served: the models stay as they are."""
    before = get(server.target, "/v2/repository/changes")["generation"]
    deploy(server, config)
    until = time.monotonic() + _SETTLED_S
    while time.monotonic() < until:
        now = get(server.target, "/v2/repository/changes")
        if now["generation"] > before and now["settled"]:
            if refused := now["models"].get(NAME):
                raise Refused(refused)
            return
        time.sleep(_LOOK_S)
    raise Refused("the configuration isn't served")


def ready(target: Target) -> None:
    """Wait for all versions: the one that answers isn't the last."""
    until = time.monotonic() + _SETTLED_S
    while time.monotonic() < until:
        rows = get(target, "/v2/repository/index", b"{}")
        if sum(row["name"] == NAME and row["state"] == "READY" for row in rows) == len(VERSIONS):
            return
        time.sleep(_LOOK_S)
    raise Refused("not all versions are ready")


def shadowed(target: Target) -> dict[str, Any]:
    """What came of the copies."""
    known = dataclasses.replace(target, token=TOKEN)
    found: dict[str, Any] = get(known, f"/v2/repository/models/{NAME}/shadow")
    return found


def quiet(target: Target) -> dict[str, Any]:
    """The same, once none waits."""
    last = -1
    while (found := shadowed(target))["waiting"] or found["copied"] != last:
        last = found["copied"]
        time.sleep(0.5)
    return found
