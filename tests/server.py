"""A live server in a process of its own, started the way users start it: `tandem run`."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from serve_app.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "configs" / "quickstart.yaml"
MODES = ("high-throughput", "default")
START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 45
_LOG_TAIL = 4000
_READY = "Ctrl-C stops everything"
_DEPLOY = re.compile(r"^ .*serve deploy -a (\S+) ", re.MULTILINE)


@dataclass(frozen=True)
class Setup:
    """What the fixture `server` serves: the quickstart, or what `write(folder)` writes."""

    mode: str
    name: str = "quickstart"
    write: Callable[[Path], Path] | None = None

    def __str__(self) -> str:
        return self.mode if self.write is None else f"{self.name}-{self.mode}"


class Server:
    """`with Server(config) as server:` serves `config` on free ports until the block ends.

    Attributes: `url`, `http_port`, `grpc` (host:port), `grpc_port`, `dashboard` (URL for
    `serve deploy -a`), `log` (path), `pid`; after the end, `exit_code` and `leftovers`, the
    processes that outlived it and had to be killed.
    """

    def __init__(
        self,
        config: Path | str,
        mode: str = "high-throughput",
        *,
        log: Path | None = None,
        env: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.config, self.mode = Path(config), mode
        self.http_port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.grpc = f"127.0.0.1:{self.grpc_port}"
        self.log = log or Path(tempfile.mkdtemp(prefix="tandem-test-")) / "server.log"
        self.dashboard = ""
        self.exit_code: int | None = None
        self.leftovers: list[str] = []
        self._env, self._arguments = env or {}, arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._metrics = ""

    @property
    def pid(self) -> int:
        """Of the `tandem run` process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> "Server":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        ports = ["--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)]
        command = [
            sys.executable,
            "-m",
            "serve_app",
            "run",
            str(self.config),
            "--mode",
            self.mode,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *ports, *self._arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
            )
        for _ in range(START_TIMEOUT_S * 5):
            if _READY in (text := self.text()):
                found = _DEPLOY.search(text)
                self.dashboard = found[1] if found else ""
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=0.2)
                raise RuntimeError(f"the server ended with {code} while it started\n{self.tail()}")
        raise TimeoutError(f"the server wasn't ready within {START_TIMEOUT_S} s\n{self.tail()}")

    def stop(self) -> None:
        """SIGTERM, then whatever of it is left is killed, each by its pid."""
        if self._process is None or self.exit_code is not None:
            return
        family = self.processes()
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_TIMEOUT_S)
        _, alive = psutil.wait_procs(family, timeout=2)
        self.leftovers = [_described(process) for process in alive]
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        self.exit_code = self._process.wait()

    def processes(self) -> list[psutil.Process]:
        """The server's process and all that descend from it, as of now."""
        try:
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def metrics(self) -> str:
        """Ray's metrics page, found among everything that listens; '' while there is none."""
        ports = {port for _, port, _ in self.listening()} if not self._metrics else ()
        urls = [self._metrics] if self._metrics else [f"http://127.0.0.1:{n}/metrics" for n in ports]
        with ThreadPoolExecutor(len(urls) or 1) as pool:  # most of them aren't HTTP, and say nothing
            for url, page in zip(urls, pool.map(_page, urls), strict=True):
                if "ray_request_count" in page:
                    self._metrics = url
                    return page
        return ""

    def listening(self) -> list[tuple[str, int, str]]:
        """Address, port and process name of every TCP socket that listens."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # Ray's helpers come and go
                name = process.name()
                for one in process.net_connections("tcp"):
                    if one.status == psutil.CONN_LISTEN:
                        found.append((one.laddr.ip, one.laddr.port, name))
        return found

    def text(self) -> str:
        """Everything it has printed."""
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        """The end of what it has printed, for a failure's report."""
        return f"--- end of {self.log} ---\n{self.text()[-_LOG_TAIL:]}"

    def http(self, **options: object) -> httpx.Client:
        """A client of its own connections, bound to this server."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)


def _page(url: str) -> str:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=5, trust_env=False).text
    return ""


def _described(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    return str(process.pid)
