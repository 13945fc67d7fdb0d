"""Who answers: each server in a process tree of its own, started on free ports and stopped again."""

import contextlib
import copy
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from loadtests.bench.generators import ROOT
from loadtests.bench.points import BARE, Point, copies
from serve_app.ports import free_port

CONFIG = ROOT / "configs" / "bench.yaml"
START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 30
_PEERS = "loadtests.bench.peers"

# Name: (interpreter, module and arguments), in the order of a round: KServe first, whose capacity
# sets the rate of an open loop for others.
SERVERS = {
    "kserve": (".venv-kserve/bin/python", ["-m", "loadtests.kserve"]),
    "kserve-tuned": (".venv-kserve/bin/python", ["-m", "loadtests.kserve", "--tuned"]),
    "mlserver": (".venv-mlserver/bin/python", ["-m", f"{_PEERS}.mlserver_server"]),
    "mlserver-tuned": (".venv-mlserver/bin/python", ["-m", f"{_PEERS}.mlserver_server", "--tuned"]),
    "tandem": (sys.executable, ["-m", "serve_app.cli", "run"]),
    BARE: (sys.executable, ["-m", f"{_PEERS}.bare"]),
}


class Server:
    """`with Server(name, points) as server:` serves what the points need until the block ends."""

    def __init__(self, name: str, points: list[Point]) -> None:
        self.name = name
        self.models = sorted(set().union(*(point.models for point in points)))
        self.http_port, self.grpc_port = free_port(), free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-bench-")
        self.log = Path(self._folder.name) / "log"
        config = Path(self._folder.name) / "config.yaml"
        config.write_text(yaml.safe_dump(_config(self.models, max(p.copies for p in points))))
        python, arguments = SERVERS[name]
        where = [str(config)] if name == "tandem" else ["--config", str(config)]
        ports = ["--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)]
        # Not resolved: a virtual environment's python is a link, and known by its path.
        self._command = [str(ROOT / python), *arguments, *where, *ports]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        try:
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
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def port(self, point: Point) -> int:
        """Where the point's requests go."""
        return self.grpc_port if point.grpc else self.http_port

    def cpu(self) -> float:
        """CPU seconds that its processes have used, the ended ones of living parents included."""
        spent = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent

    def memory(self) -> int:
        """Bytes of all its processes, shared pages counted once."""
        used = 0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                used += process.memory_full_info().pss
        return used

    def settle(self) -> None:
        """Wait, for 30 s at most, until it has done what its last clients left behind."""
        for _ in range(100):
            before = self.cpu()
            time.sleep(0.3)
            if self.cpu() - before < 0.15:
                return

    def stop(self) -> None:
        """SIGTERM, then what is left is killed, by its pid."""
        if self._process is None:
            return
        family = self._family()
        self._process.send_signal(signal.SIGTERM)
        psutil.wait_procs(family, timeout=STOP_TIMEOUT_S)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()
        self._process = None
        self._folder.cleanup()

    def _family(self) -> list[psutil.Process]:
        assert self._process is not None
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        waiting = list(self.models)
        while waiting:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} didn't start:\n{self.log.read_text()[-3000:]}")
            if _ready(self.http_port, waiting[-1]):
                waiting.pop()
            else:
                time.sleep(0.2)
        time.sleep(1)  # what starts late (proxies, dashboards) is over


def _ready(port: int, model: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("GET", f"/v2/models/{model}/ready")
            return client.getresponse().status == 200
        finally:
            client.close()
    return False


def _config(models: list[str], count: int) -> dict[str, Any]:
    """The benchmark's config with only the models that are asked for, and copies of identity."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    router, *apps = config["applications"]
    user_config = router["deployments"][0]["user_config"]
    identity = next(model for model in user_config["models"] if model["name"] == "identity")
    user_config["models"] = [
        *(model for model in user_config["models"] if model["name"] in models),
        *({**copy.deepcopy(identity), "name": name} for name in copies(count)[1:]),
    ]
    config["applications"] = [router, *(app for app in apps if app["name"] in models)]
    return config
