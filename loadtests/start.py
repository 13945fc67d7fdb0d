"""What a start takes: from the command to the first right answer of each model, beside KServe's server
with the same models; and of Tandem, process by process, CPU and memory.

python -m loadtests.start [--rounds 3] [--config configs/quickstart.yaml] [--servers tandem,kserve]
"""

import argparse
import contextlib
import http.client
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from loadtests.answers import Answers, Refused
from loadtests.payloads import PIXELS
from loadtests.requests import Request, digits, echo, json_request, sentences
from loadtests.servers import ROOT, START_TIMEOUT_S, Server

_LEAST_S = 0.2  # of CPU; what took less is one row
_PAUSE_S = 0.1
_LATE_S = 1.0  # then what starts late (proxies, dashboards) is over
US, PEER = "tandem", "kserve"
ENDED = "those that have ended"

# What is asked of the demo models.
ASKED: Mapping[str, Request] = {
    "identity": echo(),
    "digits": digits()[0],
    "digits-onnx": json_request("digits-onnx", {"pixels": PIXELS[:1]}),
    "sentences": sentences()[0],
}
Processes = dict[str, tuple[float, float]]  # seconds of CPU and MiB that it alone has


@dataclass
class Start:
    """One start of a server: seconds until each model answered right, and what its processes took."""

    answered: dict[str, float]
    processes: Processes

    @property
    def seconds(self) -> float:
        """Until all answered."""
        return max(self.answered.values())

    @property
    def cpu(self) -> float:
        """Seconds, of all processes."""
        return sum(cpu for cpu, _ in self.processes.values())


def models_in(config: dict[str, Any]) -> list[str]:
    """The names of a Serve config's models, inside the Router and apart from it."""
    router, *others = config["applications"]
    inline = router["deployments"][0]["user_config"]["models"]
    return [one["name"] for one in [*inline, *others]]


def title(process: psutil.Process) -> str:
    """What it is, in a word or two."""
    line = process.cmdline()
    first = line[0] if line else process.name()
    if first.startswith(("ray::", "ray-")):
        return str(first.split()[0])
    script = next((Path(one).name for one in line[1:] if one.endswith(".py")), "")
    if "run" in line and "serve_app" in line:
        script = "tandem run"
    return script or Path(first).name


def until_answered(server: Server, answers: Answers) -> dict[str, float]:
    """Seconds from the command to the first right answer, by model: as all servers before answered."""
    found: dict[str, float] = {}

    def ask() -> bool:
        for model in server.models:
            if model not in found:
                with contextlib.suppress(Refused, OSError, http.client.HTTPException):
                    answers.check(server.target, [ASKED[model]], model)
                    found[model] = time.time() - server.began
        return len(found) == len(server.models)

    server.wait(ask, START_TIMEOUT_S, f"{server.name} didn't start", _PAUSE_S)
    return found


def processes_of(server: Server) -> Processes:
    """Its processes by name, and as one what had ended before."""
    found: Processes = defaultdict(lambda: (0.0, 0.0))
    for process in server.family():
        with contextlib.suppress(psutil.Error):
            name, spent = title(process), process.cpu_times()
            own = process.memory_full_info().uss / 2**20
            cpu, memory = found[name]
            found[name] = cpu + spent.user + spent.system, memory + own
            ended = found[ENDED][0] + spent.children_user + spent.children_system
            found[ENDED] = ended, 0.0
    return dict(found)


def started(name: str, config: dict[str, Any], answers: Answers) -> Start:
    """Start a server, and end it when all its models have answered."""
    server = Server(name, config, models_in(config))
    try:
        server.start()
        answered = until_answered(server, answers)
        time.sleep(_LATE_S)
        return Start(answered, processes_of(server))
    finally:
        server.end()


def table(rounds: list[Processes]) -> list[str]:
    """Medians, the dearest first, and what they come to."""
    names = {name for one in rounds for name in one}
    rows = {
        name: tuple(statistics.median(one.get(name, (0.0, 0.0))[at] for one in rounds) for at in (0, 1))
        for name in names
    }
    big = sorted((name for name in rows if rows[name][0] >= _LEAST_S), key=lambda name: -rows[name][0])
    small = [rows[name] for name in names if name not in big]
    shown = [(name, *rows[name]) for name in big]
    shown.append((f"{len(small)} others", sum(cpu for cpu, _ in small), sum(mib for _, mib in small)))
    shown.append(("all", sum(cpu for cpu, _ in rows.values()), sum(mib for _, mib in rows.values())))
    head = ["| process | CPU, s | memory, MiB |", "|---|---|---|"]
    return [*head, *(f"| {name} | {cpu:.1f} | {mib:.0f} |" for name, cpu, mib in shown)]


def beside(ours: list[Start], theirs: list[Start]) -> list[str]:
    """Until each model answers, until all do, and the CPU of it: medians, ratios round by round."""
    lines = ["| until it answers | Tandem, s | KServe, s | ratio |", "|---|---|---|---|"]
    for model in ours[0].answered:
        lines.append(_row(model, *([s.answered[model] for s in one] for one in (ours, theirs))))
    lines.append(_row("all of them", *([s.seconds for s in one] for one in (ours, theirs))))
    lines.append(_row("CPU of all processes", *([s.cpu for s in one] for one in (ours, theirs))))
    return lines


def _row(name: str, ours: list[float], theirs: list[float]) -> str:
    every = [one / other for one, other in zip(ours, theirs, strict=False)]
    ratio = f"{statistics.median(every):.2f}x ({min(every):.2f}-{max(every):.2f})" if every else ""
    other = f"{statistics.median(theirs):.1f}" if theirs else ""
    return f"| {name} | {statistics.median(ours):.1f} | {other} | {ratio} |"


def main() -> None:
    """Start them in rounds, one after the other, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "quickstart.yaml")
    parser.add_argument("--servers", default=f"{US},{PEER}")
    options = parser.parse_args()
    config, answers = yaml.safe_load(options.config.read_text()), Answers()
    found: dict[str, list[Start]] = {US: [], PEER: []}
    for _ in range(options.rounds):
        for name in options.servers.split(","):
            one = started(name, config, answers)
            found[name].append(one)
            print(f"  {name:<8} {one.seconds:5.1f} s, {one.cpu:5.1f} s of CPU", flush=True)
    if found[US]:
        print("\n".join(["", *beside(found[US], found[PEER]), ""]))
        print("\n".join(table([one.processes for one in found[US]])))


if __name__ == "__main__":
    main()
