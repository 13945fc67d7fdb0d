"""Who answers in the benchmark, each in a process tree of its own."""

import copy
import sys
from typing import Any

import yaml

from loadtests.bench import tabular
from loadtests.bench.points import BARE, Point, copies
from loadtests.servers import COMMANDS, ROOT, Server

CONFIG = ROOT / "configs" / "bench.yaml"
_PEERS = "loadtests.bench.peers"

# In the order of a round: KServe first, whose capacity sets the rate of an open loop for others.
SERVERS = {
    "kserve": COMMANDS["kserve"],
    "kserve-tuned": COMMANDS["kserve-tuned"],
    "mlserver": (".venv-mlserver/bin/python", ["-m", f"{_PEERS}.mlserver_server"]),
    "mlserver-tuned": (".venv-mlserver/bin/python", ["-m", f"{_PEERS}.mlserver_server", "--tuned"]),
    "tandem": COMMANDS["tandem"],
    BARE: (sys.executable, ["-m", f"{_PEERS}.bare"]),
}


def serving(name: str, points: list[Point]) -> Server:
    """The server of that name, with what the points need."""
    models = sorted(set().union(*(point.models for point in points)))
    config = with_models(models, max(point.copies for point in points))
    return Server(name, config, models, command=SERVERS[name])


def with_models(models: list[str], count: int = 1) -> dict[str, Any]:
    """The benchmark's config with only the models that are asked for, and copies of identity."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    router, *apps = config["applications"]
    user_config = router["deployments"][0]["user_config"]
    identity = next(model for model in user_config["models"] if model["name"] == "identity")
    user_config["models"] = [
        *(model for model in user_config["models"] if model["name"] in models),
        *tabular.entries(models),
        *({**copy.deepcopy(identity), "name": name} for name in copies(count)[1:]),
    ]
    config["applications"] = [router, *(app for app in apps if app["name"] in models)]
    return config
