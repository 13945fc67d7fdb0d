"""Samples to figures: medians, spreads, and the ratios that count."""

from statistics import median
from typing import NamedTuple

from loadtests.bench.generators import Sample
from loadtests.bench.points import BARE, Point
from loadtests.bench.session import Results

US = "tandem"


class Aim(NamedTuple):
    """Ratios to KServe, to the limit and to MLServer: rates at least, latencies and costs at most."""

    figure: str = "rate"
    kserve: float | None = None
    limit: float | None = None
    mlserver: float | None = None


_P99 = Aim("p99", 1.0)
TARGETS = {
    "echo-http: 1 connections": Aim("p50", 0.75),
    "echo-http: 32 connections": Aim("rate", 5.0, 0.3),
    "echo-remote: 1 connections": Aim(mlserver=0.9),
    "echo-remote: 32 connections": Aim("rate", 1.2),
    "echo-grpc: 32 in flight": Aim("rate", 1.2, 0.75),
    "binary-1mb: HTTP, 4 connections": Aim("rate", 2.0),
    "binary-1mb: gRPC, 4 connections": Aim("rate", 2.0),
    "binary-10mb: HTTP, 4 connections": Aim("rate", 1.3),
    "binary-10mb: gRPC, 4 connections": Aim("rate", 1.3),
    "sentences: 1 connections": Aim("p50", 1.1),
    "sentences: 32 connections": Aim("rate", 3.0, 0.9, 1.0),
    "open-loop: echo-http at 70%": _P99,
    "open-loop: echo-http at 70% of KServe's": _P99,
    "open-loop: echo-grpc at 70%": _P99,
    "open-loop: echo-grpc at 70% of KServe's": _P99,
    "open-loop: sentences at 70%": _P99,
    "open-loop: sentences at 70% of KServe's": _P99,
}


# The second figure of some: what a request costs is seen where all servers get the same.
ALSO = {
    "open-loop: echo-http at 70% of KServe's": Aim("cpu_each", 1.0),
    "open-loop: echo-grpc at 70% of KServe's": Aim("cpu_each", 0.8),
}
# Of those that aren't rates: how it is shown.
_SHOWN = {"p50": "p50, ms", "p99": "p99, ms", "cpu_each": "CPU, ms each"}


class Ratio:
    """Ours over theirs, round by round: the median and the extremes."""

    def __init__(self, ours: list[float], theirs: list[float]) -> None:
        every = [a / b for a, b in zip(ours, theirs, strict=False)] or [float("nan")]
        self.median, self.least, self.most = median(every), min(every), max(every)

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({self.least:.2f}-{self.most:.2f})"


def details(results: Results) -> str:
    """Every figure of every server."""
    lines = []
    for point in results.points:
        lines.append(f"\n{point.key}")
        for server, some in results.samples.get(point.key, {}).items():
            rates = _of(some, "rate")
            lines.append(
                f"  {server:<15}{median(rates) * point.rows:9.1f}/s "
                f"({min(rates) * point.rows:.0f}-{max(rates) * point.rows:.0f})"
                f"  p50 {_ms(some, 'p50')}  p99 {_ms(some, 'p99')} ms"
                f"  CPU {median(_of(some, 'server_cpu')):.2f}"
                f"  {median(_of(some, 'memory')) / 2**20:.0f} MiB"
                f"  {some[0].client} {median(_of(some, 'client_cpu')):.2f}"
            )
        for server, reason in results.refused.get(point.key, {}).items():
            lines.append(f"  {server:<15}can't: {reason.strip()[:90]}")
    for model, rounds in results.limits.items():
        figures = ", ".join(f"{rows}: {median([r[rows] for r in rounds]):.0f}" for rows in rounds[0])
        lines.append(f"\n{model} in process, rows/s by batch size: {figures}")
    return "\n".join(lines)


def ratios(results: Results) -> str:
    """The table that counts, in Markdown."""
    lines = [
        "| case | figure | Tandem | against KServe | against MLServer | against the limit | asked |",
        "|---|---|---|---|---|---|---|",
    ]
    for point in results.points:
        if results.samples.get(point.key, {}).get(US):
            lines.append(_row(results, point, TARGETS.get(point.key, Aim())))
            if also := ALSO.get(point.key):
                lines.append(_row(results, point, also))
    return "\n".join(lines)


def _row(results: Results, point: Point, aim: Aim) -> str:
    figure = aim.figure
    by_server = results.samples[point.key]
    ours = by_server[US]
    cells = []
    for peer in ("kserve", "mlserver"):
        best = _better(by_server, peer, figure)
        cells.append(f"{Ratio(_of(ours, figure), _of(by_server[best], figure))} {best}" if best else "")
    limit = _limit(results, point)
    cells.append(f"{Ratio([s.rate * point.rows for s in ours], limit)}" if limit else "")
    sign = ">=" if figure == "rate" else "<="
    asked = [f"{sign} {aim.kserve}x"] if aim.kserve else []
    asked += [f"{sign} {aim.mlserver}x of MLServer's"] if aim.mlserver else []
    asked += [f"{sign} {aim.limit}x of the limit"] if aim.limit else []
    if figure == "rate":
        value, unit = f"{median(_of(ours, 'rate')) * point.rows:.0f}", "per second"
    else:
        value, unit = _ms(ours, figure), _SHOWN[figure]
    return f"| {point.key} | {unit} | {value} | {' | '.join(cells)} | {', '.join(asked)} |"


def _limit(results: Results, point: Point) -> list[float]:
    """Rows per second, round by round: the bare server's, or the model's own in its best batch."""
    if point.load or len(point.models) > 1:
        return []
    if bare := results.samples.get(point.key, {}).get(BARE):
        return [sample.rate * point.rows for sample in bare]
    rounds = results.limits.get(next(iter(point.models)), [])
    if not rounds:
        return []
    sizes = [name for name in rounds[0] if name.isdigit()]  # beside them: callers
    best = max(sizes, key=lambda rows: median(found[rows] for found in rounds))
    return [found[best] for found in rounds]


def _better(by_server: dict[str, list[Sample]], peer: str, figure: str) -> str:
    there = [name for name in (peer, f"{peer}-tuned") if by_server.get(name)]
    best = max if figure == "rate" else min
    return best(there, key=lambda name: median(_of(by_server[name], figure)), default="")


def _of(samples: list[Sample], figure: str) -> list[float]:
    return [float(getattr(sample, figure)) for sample in samples]


def _ms(samples: list[Sample], figure: str) -> str:
    return f"{median(_of(samples, figure)) * 1000:.2f}"
