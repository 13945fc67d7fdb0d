"""A server in a process tree of its own, started on free ports and stopped again."""

import contextlib
import http.client
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from loadtests.client.target import Target
from loadtests.live import LIVE
from serve_app.ports import free_port
from serve_app.processes import Program

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 240

# Name: (interpreter, module and arguments). Not resolved: a virtual environment's python is a link,
# and known by its path.
COMMANDS: dict[str, tuple[str, list[str]]] = {
    "kserve": (".venv-kserve/bin/python", ["-m", "loadtests.kserve"]),
    "kserve-tuned": (".venv-kserve/bin/python", ["-m", "loadtests.kserve", "--tuned"]),
    "tandem": (sys.executable, ["-m", "serve_app", "run"]),
    LIVE: (sys.executable, ["-m", "serve_app", "run"]),
}
# A core's share that a server may use while nobody asks it, looked at so often, for so long at most.
_QUIET, _LOOK_S, _STARTS_LATE_S = 0.3, 2.0, 60.0


def _end_with_blocks() -> None:
    """SIGTERM ends the program's blocks, as Ctrl-C does: else what they started would go on."""
    here = threading.current_thread() is threading.main_thread()
    if here and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


class Server(Program):
    """`with Server(name, config) as server:` serves the config's `models` until the block ends.

    It begins when they are all ready. RuntimeError, with the end of its log, when they don't become so.
    `kind` is one of COMMANDS, or `command` says it.
    """

    def __init__(
        self,
        name: str,
        config: dict[str, Any],
        models: list[str],
        kind: str = "",
        command: tuple[str, list[str]] | None = None,
    ) -> None:
        self.name, self.kind, self.models = name, kind or name, models
        self.http_port, self.grpc_port = free_port(), free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-load-")
        self.config = Path(self._folder.name) / "config.yaml"
        self.write(config)
        python, arguments = command or COMMANDS[self.kind]
        where = [str(self.config)] if self.kind in ("tandem", LIVE) else ["--config", str(self.config)]
        ports = ["--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)]
        started = [str(ROOT / python), *arguments, *where, *ports]
        super().__init__(started, Path(self._folder.name) / "log", cwd=ROOT)
        self.began = 0.0  # as time.time()

    def write(self, config: dict[str, Any]) -> None:
        """The file that it reads its models from."""
        self.config.write_text(yaml.safe_dump(config))

    def __enter__(self) -> "Server":
        _end_with_blocks()
        try:
            self.start()
            self.until_ready()
            self.until_quiet()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def target(self) -> Target:
        """Where it is."""
        return Target(self.name, f"http://127.0.0.1:{self.http_port}", f"127.0.0.1:{self.grpc_port}")

    def start(self) -> None:
        """Start the process, and don't wait."""
        self.began = time.time()
        super().start()

    def until_ready(self, pause: float = 0.2) -> None:
        """Until every model is ready."""
        waiting = list(self.models)

        def ready() -> bool:
            while waiting and _ok(self.http_port, self.ready_path(waiting[-1])):
                waiting.pop()
            return not waiting

        self.wait(ready, START_TIMEOUT_S, f"{self.name} didn't start", pause)

    def until_quiet(self) -> None:
        """Until what starts beside the models (dashboards, agents, other models) leaves the cores alone,
        or it has had its time: a server that answers early isn't measured while it still starts."""
        began, before = time.monotonic(), self.cpu()
        while time.monotonic() - began < _STARTS_LATE_S:
            time.sleep(_LOOK_S)
            now = self.cpu()
            if 0 <= now - before < _QUIET * _LOOK_S:  # it falls where a process has ended
                return
            before = now

    def ready_path(self, model: str) -> str:
        """What answers 200 once the model is ready."""
        return f"/v2/models/{model}/ready"

    def cpu(self) -> float:
        """CPU seconds that its processes have used, the ended ones of living parents included."""
        spent = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent

    def memory(self) -> int:
        """Bytes of all its processes, shared pages counted once."""
        used = 0
        for process in self.family():
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

    def end(self) -> None:
        """Stop it, with whatever it started."""
        self.stop()
        self._folder.cleanup()


def _ok(port: int, path: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("GET", path)
            return client.getresponse().status == 200
        finally:
            client.close()
    return False
