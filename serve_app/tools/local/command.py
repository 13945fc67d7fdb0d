"""`tandem local rayservice.yaml`, in the foreground: apply the file, and again whenever it changes."""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError
from serve_app.tools.check.verdict import check
from serve_app.tools.guard import own_folder
from serve_app.tools.kube.sources import last_change
from serve_app.tools.local.front import Front
from serve_app.tools.local.launch import Containers, Launch, Processes
from serve_app.tools.local.manifest import Manifest, load
from serve_app.tools.local.operator import Operator
from serve_app.tools.local.status import line, status
from serve_app.tools.stopping import everything_stopped

_TURN_S = 0.5


_NO_REDIS = (
    "without the Redis of gcsFaultToleranceOptions a head that dies takes its cluster "
    "(--redis HOST:PORT names one)"
)


def run(
    path: Path,
    host: str,
    ports: tuple[int, int, int],
    state: Path | None,
    containers: str | None,
    redis: str = "",
) -> int:
    """Serve the manifest on `ports` (HTTP, gRPC, dashboard) until SIGINT or SIGTERM.

    `state` is a file for the status, as JSON, after every change; `containers` an engine's run
    command, `podman run`, for nodes in containers of their image. `redis` stands for the one of the
    manifest's `gcsFaultToleranceOptions`.
    """
    with own_folder("tl-", "/tmp") as folder:  # noqa: S108 - a folder of a new name is made there
        manifest = _checked(path)
        missing = [_NO_REDIS] if manifest.fault_tolerant and not redis else []
        for note in [*manifest.notes, *missing]:
            _say(f"not as on Kubernetes: {note}")
        with everything_stopped():
            front = Front(folder, host, *ports)
            front.start()
            _say("HTTP {0}:{1}, gRPC {0}:{2}, dashboard 127.0.0.1:{3}".format(host, *ports))
            _say(f"what the nodes write, as `kubectl logs` has it: {folder}/*.log")
            operator = Operator(manifest, folder, _launch(containers), front, redis)
            try:
                return _loop(path, operator, front, state)
            finally:
                for cluster in operator.clusters:
                    cluster.kill()


def _launch(containers: str | None) -> Launch:
    if containers is None:
        return Processes()
    words = shlex.split(containers)
    if "run" not in words:
        raise ConfigError(
            f"--containers takes an engine's run command, `podman run`, got `{containers}`"
        )
    return Containers(words)


def _loop(path: Path, operator: Operator, front: Front, state: Path | None) -> int:
    seen, said, trouble = last_change(path), "", ""
    while front.alive:
        now = last_change(path)
        if now and now != seen:  # 0 between an editor's two steps
            seen = now
            try:
                _tell(operator.apply(_checked(path)))
            except ConfigError as error:
                _say(
                    f"{error}\nnot applied: what was applied before goes on; waiting for the next change"
                )
        try:
            _tell(operator.tick())
            trouble = ""
        except (ConfigError, OSError) as error:
            if str(error) != trouble:
                trouble = str(error)
                _say(f"{trouble}; trying again")
        found = status(operator.active, operator.pending, front.endpoints())
        if (text := line(found)) != said:
            said = text
            _say(text)
        if state:
            names = [cluster.name for cluster in operator.clusters]
            _write(state, found | {"clusters": names, "token": operator.token})
        time.sleep(_TURN_S)
    _say("the services' HAProxy has ended")
    return 1


def _checked(path: Path) -> Manifest:
    """What is there now; ConfigError whatever is wrong with it, so that a watcher goes on."""
    try:
        if wrong := [one for one in check(path, None) if one.severity == "error"]:
            raise ConfigError("\n".join(map(str, wrong)))
        return load(path)
    except ConfigError:
        raise
    except Exception as error:  # a part of a type that nobody expected
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from error


def _write(state: Path, found: dict[str, Any]) -> None:
    beside = state.with_suffix(".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(found, file, indent=1)
    beside.replace(state)


def _tell(lines: Any) -> None:
    for text in lines:
        _say(text)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stdout, flush=True)
