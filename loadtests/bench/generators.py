"""Who sends the load: wrk for HTTP and h2load for gRPC where they are installed, else Python clients.

Each run is a process of its own; its CPU time is measured, because a busy client hides a fast server.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loadtests.arrivals import constant
from loadtests.bench.points import Point
from loadtests.client.job import Job
from loadtests.client.run import run
from loadtests.client.target import Target
from loadtests.servers import ROOT

WARM_UP_S = 1.0
_TIMEOUT_S = 30


@dataclass
class Sample:
    """One measurement. Times in seconds; CPU in cores, the mean over the run."""

    rate: float  # requests per second
    p50: float
    p99: float
    errors: int
    client: str
    client_cpu: float
    server_cpu: float = 0
    memory: int = 0  # bytes, of all the server's processes

    @property
    def cpu_each(self) -> float:
        """Seconds of the server's CPU for each request, what it takes at rest among them."""
        return self.server_cpu / self.rate

    def record(self) -> dict[str, object]:
        return asdict(self)


def tool(grpc: bool) -> str:
    """The program that loads this transport."""
    compiled = "h2load" if grpc else "wrk"
    return compiled if shutil.which(compiled) else "python"


def send(point: Point, port: int, seconds: float, rate: float = 0) -> Sample:
    """Load `port` for `seconds`: as fast as it answers, or in an open loop at `rate` per second."""
    program = "python" if rate or point.plain_client else tool(point.grpc)
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        run = {"wrk": _wrk, "h2load": _h2load, "python": _python}[program]
        return run(point, port, seconds, rate, Path(folder))


def _run(command: list[str]) -> tuple[str, float]:
    """Standard output and the mean CPU cores; RuntimeError when it fails or hangs."""
    started = time.monotonic()
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=ROOT)
    after, spent = os.times(), time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-500:]}{done.stdout[-500:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, cpu / spent


_LUA = """
local sent, turn = {}, 0
local function read(name)
  local file = io.open(name, "rb")
  local text = file:read("*a")
  file:close()
  return text
end
function init(args)
  local index = 0
  for line in io.lines("FOLDER/requests") do
    local path, headers = line:match("^(%S+) (.*)$")
    local table = {}
    for key, value in headers:gmatch("([^=;]+)=([^;]+)") do table[key] = value end
    sent[#sent + 1] = wrk.format("POST", path, table, read("FOLDER/" .. index))
    index = index + 1
  end
  turn = math.random(#sent)
end
function request()
  turn = turn % #sent + 1
  return sent[turn]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests": %d, "us": %d, "p50": %f, "p99": %f, ' ..
    '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""


def _wrk(point: Point, port: int, seconds: float, _: float, folder: Path) -> Sample:
    lines = []
    for index, request in enumerate(point.requests):
        (folder / str(index)).write_bytes(request.body)
        headers = ";".join(f"{name}={value}" for name, value in request.headers.items())
        lines.append(f"{request.path} {headers}\n")
    (folder / "requests").write_text("".join(lines))
    script = folder / "script.lua"
    script.write_text(_LUA.replace("FOLDER", str(folder)))
    command = ["wrk", "-t1", f"-c{point.connections}", f"--timeout={_TIMEOUT_S}s", "-s", str(script)]
    url = f"http://127.0.0.1:{port}"
    _run([*command, f"-d{max(1, round(WARM_UP_S))}s", url])
    text, cpu = _run([*command, f"-d{max(1, round(seconds))}s", url])
    found = json.loads(text.partition("RESULT ")[2])
    rate = found["requests"] / found["us"] * 1e6
    errors = {kind: count for kind, count in found["errors"].items() if count}
    if errors:
        print(f"    errors by kind: {errors}", flush=True)
    return Sample(rate, found["p50"] / 1e6, found["p99"] / 1e6, sum(errors.values()), "wrk", cpu)


def _h2load(point: Point, port: int, seconds: float, _: float, folder: Path) -> Sample:
    if len(point.requests) > 1:
        raise ValueError("h2load sends one message")
    body = point.requests[0].body
    (folder / "message").write_bytes(b"\0" + len(body).to_bytes(4, "big") + body)
    log = folder / "log"
    command = [
        "h2load", f"-c{point.connections}", f"-m{point.streams}", f"-D{max(1, round(seconds))}",
        f"--warm-up-time={max(1, round(WARM_UP_S))}", "-d", str(folder / "message"),
        # Windows as large as the messages, so that flow control isn't what is measured.
        "-w24", "-W24",
        "-H", "content-type: application/grpc", "-H", "te: trailers", f"--log-file={log}",
        f"http://127.0.0.1:{port}{point.requests[0].path}",
    ]  # fmt: skip
    text, cpu = _run(command)
    rate = float(re.search(r"finished in .*?, ([\d.]+) req/s", text)[1])  # type: ignore[index]
    counts = re.search(r"requests: (\d+) total, .* (\d+) done, (\d+) succeeded, (\d+) failed", text)
    data = int(re.search(r"\((\d+)\) data", text)[1])  # type: ignore[index]
    assert counts is not None
    done, failed = int(counts[2]), int(counts[4])
    # An error over gRPC is a 200 without a body: fewer bytes than were sent give it away.
    if data < 0.9 * done * len(body):
        failed = max(failed, 1)
    times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    p50, p99 = (times[int(len(times) * share)] / 1e6 for share in (0.5, 0.99))
    return Sample(rate, p50, p99, failed, "h2load", cpu)


def _python(point: Point, port: int, seconds: float, rate: float, folder: Path) -> Sample:
    files = []
    for index, request in enumerate(point.requests):
        (folder / str(index)).write_bytes(request.body)
        files.append((request.path, request.headers, str(folder / str(index))))
    schedule = constant(rate, WARM_UP_S + seconds).arrivals() - WARM_UP_S if rate else np.zeros(0)
    job = Job(
        Target("server", f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"),
        files,
        point.grpc,
        point.connections,
        seconds=seconds,
        warm_up=WARM_UP_S,
        schedule=schedule.tolist(),
        streams=point.streams,
        patience=_TIMEOUT_S,
    )
    outcome = run(job)
    good = outcome.latencies[~outcome.failed]
    if not len(good):
        raise RuntimeError(f"every request failed: {outcome.errors}")
    p50, p99 = np.quantile(good, (0.5, 0.99), method="inverted_cdf").tolist()
    per_second = len(good) / float(outcome.done.max())
    cpu = outcome.cpu / (WARM_UP_S + seconds)
    return Sample(per_second, p50, p99, int(outcome.failed.sum()), "python", cpu)
