"""`tandem local` in a process of its own, and the state that it writes."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from loadtests.client.target import Target
from loadtests.servers import ROOT
from serve_app.ports import free_port
from serve_app.processes import Program

State = dict[str, Any]
PATIENCE_S = 240


class Local(Program):
    """`with Local(manifest) as local:` serves until the block ends; in `containers` if said how, with a
    `redis` for the head, with `env` beside this process's."""

    def __init__(
        self,
        manifest: dict[str, Any],
        containers: str = "",
        redis: str = "",
        env: Mapping[str, str] = {},
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-proof-")
        folder = Path(self._folder.name)
        self._file, self._state = folder / "rayservice.yaml", folder / "state.json"
        ports = {name: free_port() for name in ("http", "grpc", "dashboard")}
        self.target = Target("tandem", f"http://127.0.0.1:{ports['http']}", f"127.0.0.1:{ports['grpc']}")
        self.dashboard = f"http://127.0.0.1:{ports['dashboard']}"
        command = [sys.executable, "-m", "serve_app", "local", str(self._file)]
        command += [f"--{name}-port={port}" for name, port in ports.items()]
        command += [f"--state-file={self._state}"]
        command += [f"--containers={containers}"] if containers else []
        command += [f"--redis={redis}"] if redis else []
        super().__init__(command, folder / "log", cwd=ROOT, env=env)
        self.apply(manifest)

    def apply(self, manifest: dict[str, Any]) -> None:
        """Write the manifest; it is picked up at once."""
        beside = self._file.with_suffix(".new")
        beside.write_text(yaml.safe_dump(manifest, sort_keys=False))
        beside.replace(self._file)

    def __enter__(self) -> "Local":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def state(self) -> State:
        """`.status` of the RayService, {} before there is one."""
        with contextlib.suppress(OSError):
            found: State = json.loads(self._state.read_text())
            return found
        return {}

    def until(self, holds: Callable[[State], bool], what: str) -> State:
        """Wait for a state; RuntimeError with the end of the log when it doesn't come."""

        def seen() -> State:
            found = self.state()
            return found if found and holds(found) else {}

        return self.wait(seen, PATIENCE_S, f"not seen: {what}")


def condition(state: State, kind: str) -> bool:
    """Whether a condition is True."""
    return any(c["type"] == kind and c["status"] == "True" for c in state.get("conditions", []))


def settled(state: State, endpoints: int) -> bool:
    """One cluster, everything on it RUNNING and HEALTHY, and so many nodes in the service."""
    apps = (state.get("activeServiceStatus") or {}).get("applicationStatuses") or {}
    deployments = [d["status"] for app in apps.values() for d in app["serveDeploymentStatuses"].values()]
    return (
        condition(state, "Ready")
        and not condition(state, "UpgradeInProgress")
        and state["numServeEndpoints"] == endpoints
        and all(app["status"] == "RUNNING" for app in apps.values())
        and all(status == "HEALTHY" for status in deployments)
    )
