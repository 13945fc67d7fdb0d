"""The models of a Serve config file, loaded in this process, and the command line of every peer."""

import argparse
import os
import signal
import threading
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from serve_app.config import ModelConfig, RemoteModel, RouterUserConfig, parse
from serve_app.errors import ConfigError
from serve_app.observability.logs import log_loaded
from serve_app.protocol.metadata import VersionDescription
from serve_app.runtimes.host import ModelHost

ROUTER, MODEL = "serve_app.app:build_router", "serve_app.app:build_model"
LOOPBACK = "127.0.0.1"
OWN = ("sklearn", "xgboost")
# In stock servers too: with the 4 or 8 MB that they allow by default the large tensors would fail.
MESSAGE_BYTES = 256 * 2**20
_LOOK_S = 0.5


def command_line(
    name: str, *more: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """`config`, `http_port`, `grpc_port` and `tuned`, and what `more` reads.

    From here on the process ends when the one that started it does: one that is killed stops nothing.
    """
    if arguments is None:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    parser = argparse.ArgumentParser(prog=name, allow_abbrev=False, parents=more)
    parser.add_argument("--config", type=Path, required=True, help="a Serve config file")
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--tuned", action="store_true", help="as set up for speed, not by default")
    return parser.parse_args(arguments)


def _end_with(starter: int) -> None:
    while os.getppid() == starter:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


def load(file: Path, only: Container[str] | None = None, storage: str = "") -> dict[str, ModelHost]:
    """The models of the file by name, inline and remote alike, loaded and warmed up.

    `storage` is where their files lie, when not where the file says.
    """
    found: dict[str, ModelHost] = {}
    for config in configs(yaml.safe_load(file.read_text())):
        if (only is not None and config.name not in only) or config.model_format in OWN:
            continue
        host = ModelHost(_stored(config, storage))
        if host.name in found:
            raise ConfigError(f"{file} holds the model '{host.name}' twice")
        log_loaded(host.name, host.load())
        for reason in host.failed.values():
            raise ConfigError(reason)
        found[host.name] = host
    return found


def of_their_own(file: Path, only: Container[str] | None = None) -> Iterator[ModelConfig]:
    """The models of the file for which the peers have runtimes themselves."""
    for config in configs(yaml.safe_load(file.read_text())):
        if config.model_format in OWN and (only is None or config.name in only):
            yield config


def _stored(config: ModelConfig, storage: str) -> ModelConfig:
    elsewhere = storage and config.storage_uri
    return config.model_copy(update={"storage_uri": storage}) if elsewhere else config


def configs(serve: dict[str, Any]) -> Iterator[ModelConfig]:
    """The models that a Serve config names, each under the name that it serves by."""
    for application in serve["applications"]:
        if application["import_path"] == ROUTER:
            for deployment in application.get("deployments", []):
                user_config = deployment.get("user_config") or {}
                yield from parse(RouterUserConfig, user_config, "user_config").models
        elif application["import_path"] == MODEL:
            name = application["name"]
            yield parse(RemoteModel, {**application.get("args", {}), "name": name}, name)


def latest(host: ModelHost) -> tuple[str, VersionDescription]:
    """The newest version of a model, as Tandem would choose it."""
    versions = host.describe(None, 1).versions
    version = max(versions, key=int)
    return version, versions[version]


def close(loaded: Iterable[ModelHost]) -> None:
    """Give every model back."""
    for host in loaded:
        host.close()
