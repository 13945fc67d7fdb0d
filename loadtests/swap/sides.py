"""The servers, each with its way to take a new version. A trigger returns when that is acknowledged."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from loadtests.answers import Refused, get
from loadtests.bench.servers import CONFIG
from loadtests.compare.sides import deploy
from loadtests.live import LIVE, load, with_admin
from loadtests.servers import COMMANDS, Server

NAME = "swapped"
_LOOK_S = 0.02
_PEER = "loadtests.swap.mlserver_peer"
LOADED = "tandem-load"  # told by the repository API, as the peers are; `tandem` by a deploy
SIDES = {
    **COMMANDS,
    LOADED: COMMANDS["tandem"],
    "mlserver": (".venv-mlserver/bin/python", ["-m", _PEER]),
}
TOKEN = "TANDEM_ADMIN_TOKEN"
ACKNOWLEDGED_S = 60.0

# Serves version `number`, whose folder is there; returns when that is acknowledged.
Trigger = Callable[[Server, int], None]


def config_of(folder: Path, replicas: int, side: str, version: int) -> dict[str, Any]:
    """A Serve config with the one model: inside the Router, or with `replicas` of its own."""
    # The peers' twins are told which version it is; Tandem finds it.
    versions: Any = "latest" if side in ("tandem", LIVE) else [str(version)]
    model = {
        "modelFormat": "python", "class": "loadtests.swap.model:Weights", "storageUri": str(folder),
        "versions": versions,
    }  # fmt: skip
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    router = config["applications"][0]
    user = router["deployments"][0]["user_config"]
    user["models"] = [] if replicas else [{"name": NAME, **model}]
    config["applications"] = [router]
    if replicas:
        args = {**model, "replicas": replicas, "resources": {"num_cpus": 0.2}}
        config["applications"].append(
            {
                "name": NAME,
                "route_prefix": None,
                "import_path": "serve_app.app:build_model",
                "args": args,
            }
        )
    return with_admin(config) if side == LIVE else config


def triggers(side: str, folder: Path, replicas: int) -> Trigger:
    """How that side is told of another version."""

    def tandem(server: Server, version: int) -> None:
        deploy(server, config_of(folder, replicas, side, version))
        until = time.monotonic() + ACKNOWLEDGED_S
        while not _serves(server, version):
            if time.monotonic() > until:
                raise Refused(f"version {version} isn't served after {ACKNOWLEDGED_S:g} s")
            time.sleep(_LOOK_S)

    def peer(server: Server, version: int) -> None:
        if side != LIVE:
            server.write(config_of(folder, replicas, side, version))
        load(server.target, NAME, {}, live=side == LIVE)

    return tandem if side == "tandem" else peer


def _serves(server: Server, version: int) -> bool:
    """By the repository index: READY, and the versions of before are gone."""
    rows = [row for row in get(server.target, "/v2/repository/index", b"{}") if row["name"] == NAME]
    return [(row["version"], row["state"]) for row in rows] == [(str(version), "READY")]
