"""The rounds: every server in turn, one running at a time, again and again."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.answers import Answers, Refused
from loadtests.bench.generators import Sample, send
from loadtests.bench.points import BARE, Point, chosen
from loadtests.bench.servers import CONFIG, serving
from loadtests.servers import ROOT

IN_PROCESS = ("digits", "sentences")  # the models with a limit of their own


@dataclass
class Results:
    """Samples by point and server, one per round; what a server can't answer, with the reason."""

    points: list[Point]
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    limits: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def add(self, point: Point, server: str, sample: Sample) -> None:
        self.samples.setdefault(point.key, {}).setdefault(server, []).append(sample)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """What `save` wrote."""
        found = json.loads(path.read_text())
        known = {point.key: point for point in chosen("all")}
        samples = {
            key: {server: [Sample(**one) for one in some] for server, some in by_server.items()}
            for key, by_server in found["samples"].items()
        }
        points = [known[key] for key in samples if key in known]
        return cls(points, samples, found["refused"], found["limits"])

    def save(self, path: Path, about: dict[str, object]) -> None:
        """Everything, as JSON."""
        samples = {
            key: {server: [s.record() for s in some] for server, some in by_server.items()}
            for key, by_server in self.samples.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {"about": about, "samples": samples, "refused": self.refused, "limits": self.limits}
        path.write_text(json.dumps(found, indent=1))


class Session:
    """Measures `points` on `servers`; `say` is told what goes on."""

    def __init__(self, points: list[Point], seconds: float, say: Callable[[str], None]) -> None:
        self.results = Results(points)
        self._seconds = seconds
        self._say = say
        self._answers = Answers()
        self._capacities: dict[tuple[str, str], float] = {}

    def round(self, servers: list[str]) -> None:
        """Every server once, then the models alone."""
        for name in servers:
            for count in sorted({point.copies for point in self.results.points}):
                points = [p for p in self.results.points if p.copies == count and _can(name, p)]
                if points:
                    self._visit(name, points)
        for model in IN_PROCESS:
            if any(point.models == {model} for point in self.results.points):
                self._say(f"{'in process':<15} {model}")
                found = alone(model, self._seconds)  # which may be stopped: then nothing was found
                self.results.limits.setdefault(model, []).append(found)

    def _visit(self, name: str, points: list[Point]) -> None:
        with serving(name, points) as server:
            for point in points:
                try:
                    self._answers.check(server.target, point.requests, point.key)
                except Refused as error:
                    if name == "tandem":
                        raise
                    self.results.refused.setdefault(point.key, {})[name] = str(error)
                    continue
                rate = point.load * self._capacities.get((point.whose or name, point.capacity), 0)
                if point.load and not rate:
                    continue  # that server has not been measured yet
                cpu, started = server.cpu(), time.monotonic()
                port = server.grpc_port if point.grpc else server.http_port
                sample = send(point, port, self._seconds * point.longer, rate)
                sample.server_cpu = (server.cpu() - cpu) / (time.monotonic() - started)
                sample.memory = server.memory()
                self._capacities[name, point.key] = sample.rate
                if not sample.rate:
                    server.settle()
                    reason = f"no answer within {self._seconds * point.longer:.0f} s"
                    self.results.refused.setdefault(point.key, {})[name] = reason
                    continue
                if sample.errors:
                    raise RuntimeError(f"{name}, {point.key}: {sample.errors} requests failed")
                self.results.add(point, name, sample)
                server.settle()
                self._say(f"{name:<15} {point.key:<40} {sample.rate:9.1f} req/s")


def alone(model: str, seconds: float) -> dict[str, float]:
    """Rows per second of the model called in a process of its own, by batch size."""
    command = [sys.executable, "-m", "loadtests.bench.peers.inprocess", "--config", str(CONFIG)]
    command += ["--model", model, "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{model} in process: {done.stderr[-1000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])  # above it stands a log
    return found


def _can(name: str, point: Point) -> bool:
    """The bare server knows one model; it takes no part in open loops and with copies."""
    return name != BARE or (point.models == {"identity"} and not point.load and point.copies == 1)
