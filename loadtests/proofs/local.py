"""`tandem local` in a process of its own, and the state that it writes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from loadtests.client.target import Target
from loadtests.servers import ROOT
from serve_app.ports import free_port

State = dict[str, Any]
PATIENCE_S = 240


class Local:
    """`with Local(manifest) as local:` serves until the block ends; in `containers` if said how."""

    def __init__(self, manifest: dict[str, Any], containers: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-proof-")
        folder = Path(self._folder.name)
        self._file, self._state, self.log = (
            folder / "rayservice.yaml",
            folder / "state.json",
            folder / "log",
        )
        ports = {name: free_port() for name in ("http", "grpc", "dashboard")}
        self.target = Target("tandem", f"http://127.0.0.1:{ports['http']}", f"127.0.0.1:{ports['grpc']}")
        self.dashboard = f"http://127.0.0.1:{ports['dashboard']}"
        self._command = [sys.executable, "-m", "serve_app", "local", str(self._file)]
        self._command += [f"--{name}-port={port}" for name, port in ports.items()]
        self._command += [f"--state-file={self._state}"]
        self._command += [f"--containers={containers}"] if containers else []
        self._process: subprocess.Popen[bytes] | None = None
        self.apply(manifest)

    def apply(self, manifest: dict[str, Any]) -> None:
        """Write the manifest; it is picked up at once."""
        beside = self._file.with_suffix(".new")
        beside.write_text(yaml.safe_dump(manifest, sort_keys=False))
        beside.replace(self._file)

    def __enter__(self) -> "Local":
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def stop(self) -> list[psutil.Process]:
        """SIGTERM; what is left half a minute later is killed, by its pid. Returns what was running."""
        assert self._process is not None
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(self._process.pid).children(recursive=True)
            self._process.send_signal(signal.SIGTERM)
            psutil.wait_procs(family, timeout=30)
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self._process.wait()
        return family

    def state(self) -> State:
        """`.status` of the RayService, {} before there is one."""
        with contextlib.suppress(OSError):
            found: State = json.loads(self._state.read_text())
            return found
        return {}

    def until(self, holds: Callable[[State], bool], what: str) -> State:
        """Wait for a state; RuntimeError with the end of the log when it doesn't come."""
        deadline = time.monotonic() + PATIENCE_S
        while not ((found := self.state()) and holds(found)):
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"not seen: {what}\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.2)
        return found


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
