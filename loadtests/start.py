"""What a start takes, process by process: CPU until every demo model is ready, and memory then.

python -m loadtests.start [--rounds 3] [--config configs/quickstart.yaml]
"""

import argparse
import contextlib
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
import yaml

from loadtests.servers import ROOT, Server

_LEAST_S = 0.2  # of CPU; what took less is one row


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


def measured(config: dict[str, Any]) -> tuple[float, dict[str, tuple[float, float]]]:
    """Seconds until all models are ready; by process, seconds of CPU and MiB that it alone has."""
    found: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    began = time.monotonic()
    with Server("tandem", config, models_in(config)) as server:
        seconds = time.monotonic() - began - 1  # which the server waits for what comes late
        for process in server.family():
            with contextlib.suppress(psutil.Error):
                name, spent = title(process), process.cpu_times()
                cpu, memory = found[name]
                own = process.memory_full_info().uss / 2**20
                found[name] = cpu + spent.user + spent.system, memory + own
    return seconds, found


def table(rounds: list[dict[str, tuple[float, float]]]) -> list[str]:
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


def main() -> None:
    """Start it in rounds, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "quickstart.yaml")
    options = parser.parse_args()
    config = yaml.safe_load(options.config.read_text())
    found = [measured(config) for _ in range(options.rounds)]
    print("\n".join(table([processes for _, processes in found])))
    seconds = sorted(one for one, _ in found)
    print(f"\nready after {', '.join(f'{one:.1f}' for one in seconds)} s")


if __name__ == "__main__":
    main()
