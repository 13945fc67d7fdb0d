"""`python -m loadtests.llm --rounds 5`: measure, print ratios, write JSON. `make bench CASE=llm`."""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median

import orjson

from loadtests.bench.report import Ratio
from loadtests.llm.client import Order, Sample
from loadtests.llm.servers import NAMES, serving
from loadtests.servers import ROOT, Server

STREAMS = (1, 16)
TOKENS = 128
Samples = dict[int, dict[str, list[Sample]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.llm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="of one measurement")
    parser.add_argument("--output", type=Path, default=Path("build/bench-llm.json"))
    given = parser.parse_args()
    if not (ROOT / ".venv-llm/bin/vllm").exists():
        raise SystemExit("no vLLM: `make llm` sets it up")
    samples: Samples = {streams: {name: [] for name in NAMES} for streams in STREAMS}
    about = {"cores": os.cpu_count(), "python": platform.python_version(), "seconds": given.seconds}
    try:
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds}", flush=True)
            for name in NAMES[:: 1 if number % 2 else -1]:
                _visit(name, number, given.seconds, samples)
            _save(given.output, about, samples)
    except KeyboardInterrupt:
        print("stopped; what was measured until now:")
    print(f"\n{table(samples)}\n\nraw figures in {given.output}")


def _visit(name: str, number: int, seconds: float, samples: Samples) -> None:
    with serving(name) as server:
        for streams in STREAMS:
            order = Order(server.http_port, server.models[0], streams, seconds, TOKENS, seed=number)
            sample = measure(order, server)
            samples[streams][name].append(sample)
            print(f"  {name:<11}{streams:>3} streams{sample.rate:9.1f} tokens/s", flush=True)
            server.settle()


def measure(order: Order, server: Server) -> Sample:
    """By a process of its own; RuntimeError when an answer fails or is cut."""
    cpu, started = server.cpu(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.llm.client"],
        cwd=ROOT, input=orjson.dumps(asdict(order)), capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr.decode()[-1000:]}")
    sample = Sample(**orjson.loads(done.stdout))
    sample.server_cpu = (server.cpu() - cpu) / (time.monotonic() - started)
    if sample.cut or not sample.answers:
        raise RuntimeError(f"{server.name}: {sample.cut} answers of {sample.answers} were cut")
    return sample


def table(samples: Samples) -> str:
    """Every figure, and ours over each of theirs, round by round."""
    *peers, _ = NAMES
    against = [f"against {peer} (least-most), less" for peer in peers]
    heads = ["streams", "figure", "Tandem", *peers, *against]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    figures: dict[str, Callable[[Sample], float]] = {
        "tokens per second": lambda one: one.rate,
        "time to first token, ms": lambda one: median(one.first) * 1000,
        "inter-token latency, ms": lambda one: median(one.gaps) * 1000,
        "server's cores": lambda one: one.server_cpu,
        "client's cores": lambda one: one.client_cpu,
    }
    for streams, by_name in samples.items():
        for title, figure in figures.items():
            *theirs, ours = ([figure(one) for one in by_name[name]] for name in NAMES)
            if ours and all(theirs):
                values = [f"{median(some):.2f}" for some in (ours, *theirs)]
                ratios = [f"{Ratio(ours, some)}, {_less(ours, some):+.2f}" for some in theirs]
                lines.append(f"| {' | '.join([str(streams), title, *values, *ratios])} |")
    return "\n".join(lines)


def _less(ours: list[float], theirs: list[float]) -> float:
    return median(a - b for a, b in zip(ours, theirs, strict=False))


def _save(path: Path, about: dict[str, object], samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps({"about": about, "samples": samples}, option=orjson.OPT_NON_STR_KEYS))


if __name__ == "__main__":
    main()
