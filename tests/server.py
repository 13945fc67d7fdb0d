"""A live server in a process of its own, started the way users start it: `tandem run`."""

import contextlib
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from serve_app.ports import free_port
from serve_app.processes import Program

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "configs" / "quickstart.yaml"
MODES = ("high-throughput", "default")
START_TIMEOUT_S = 420
STOP_TIMEOUT_S = 45
_READY = "Ctrl-C stops everything"
_METRICS = re.compile(r"^  metrics for Prometheus  (\S+)$", re.MULTILINE)
_DASHBOARD = re.compile(r"^  Ray +(http\S+) ", re.MULTILINE)
_UNDER_WAY = "Still on the way"
_SETTLED = "no application is under way any more"


@dataclass(frozen=True)
class Setup:
    """What the fixture `server` serves: the quickstart, or what `write(folder)` writes."""

    mode: str
    name: str = "quickstart"
    write: Callable[[Path], Path] | None = None

    def __str__(self) -> str:
        return self.mode if self.write is None else f"{self.name}-{self.mode}"


class Server(Program):
    """`with Server(config) as server:` serves `config` on free ports until the block ends.

    Without `settled` the block begins when something is served, though others never come.

    Attributes: `url`, `http_port`, `grpc` (host:port), `grpc_port`, `dashboard` (URL for
    `serve deploy -a`), `metrics_url`, `log` (path), `pid`; after the end, `exit_code` and
    `leftovers`, the processes that outlived it and had to be killed.
    """

    def __init__(
        self,
        config: Path | str,
        mode: str = "high-throughput",
        *,
        log: Path | None = None,
        env: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        settled: bool = True,
    ) -> None:
        self.config, self.mode, self._settled = Path(config), mode, settled
        self.http_port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.grpc = f"127.0.0.1:{self.grpc_port}"
        self.dashboard = self.metrics_url = ""
        self.leftovers: list[str] = []
        ports = ["--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)]
        command = [sys.executable, "-m", "serve_app", "run", str(self.config), "--mode", mode]
        log = log or Path(tempfile.mkdtemp(prefix="tandem-test-")) / "server.log"
        super().__init__([*command, *ports, *arguments], log, cwd=ROOT, env=env or {})

    def __enter__(self) -> "Server":
        try:
            self.start()
            self.wait(self._ready, START_TIMEOUT_S, "the server isn't ready")
            found = _DASHBOARD.search(self.text())
            self.dashboard = found[1] if found else ""
            found = _METRICS.search(self.text())
            self.metrics_url = found[1] if found else ""
        except BaseException:
            self.stop()
            raise
        return self

    def _ready(self) -> bool:
        text = self.text()
        done = not self._settled or _UNDER_WAY not in text or _SETTLED in text
        return _READY in text and done

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, seconds: float = STOP_TIMEOUT_S) -> list[str]:
        """Also what it left behind is gone then, and named in `leftovers`."""
        self.leftovers += super().stop(seconds)
        return self.leftovers

    def metrics(self) -> str:
        """Ray's metrics page, at the address that was printed; '' while it has none of ours."""
        with contextlib.suppress(httpx.HTTPError):
            page = httpx.get(self.metrics_url, timeout=5, trust_env=False).text
            return page if "ray_request_count" in page else ""
        return ""

    def listening(self) -> list[tuple[str, int, str]]:
        """Address, port and process name of every TCP socket that listens."""
        found = []
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):  # Ray's helpers come and go
                name = process.name()
                for one in process.net_connections("tcp"):
                    if one.status == psutil.CONN_LISTEN:
                        found.append((one.laddr.ip, one.laddr.port, name))
        return found

    def tail(self) -> str:
        """The end of what it has printed, for a failure's report."""
        return f"--- end of {self.log} ---\n{super().tail()}"

    def http(self, **options: object) -> httpx.Client:
        """A client of its own connections, bound to this server."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)
