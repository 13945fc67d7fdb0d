"""Samples to figures: medians, spreads, and the ratios that count."""

from statistics import median

from loadtests.bench.generators import Sample
from loadtests.bench.points import BARE, Point
from loadtests.bench.session import Results

US = "tandem"
# Point: (figure, bound against KServe, bound against the limit). Rates at least, latencies at most.
TARGETS: dict[str, tuple[str, float | None, float | None]] = {
    "echo-http: 1 connections": ("p50", 0.75, None),
    "echo-http: 32 connections": ("rate", 2.0, 0.3),
    "echo-remote: 32 connections": ("rate", 1.2, None),
    "echo-grpc: 32 in flight": ("rate", 1.2, 0.75),
    "binary-1mb: HTTP, 4 connections": ("rate", 2.0, None),
    "binary-1mb: gRPC, 4 connections": ("rate", 2.0, None),
    "binary-10mb: HTTP, 4 connections": ("rate", 1.3, None),
    "binary-10mb: gRPC, 4 connections": ("rate", 1.3, None),
    "sentences: 1 connections": ("p50", 1.1, None),
    "sentences: 32 connections": ("rate", 3.0, 0.85),
    "open-loop: echo-http at 70%": ("p99", 1.0, None),
    "open-loop: echo-http at 70% of KServe's": ("p99", 1.0, None),
    "open-loop: echo-grpc at 70%": ("p99", 1.0, None),
    "open-loop: echo-grpc at 70% of KServe's": ("p99", 1.0, None),
    "open-loop: sentences at 70%": ("p99", 1.0, None),
    "open-loop: sentences at 70% of KServe's": ("p99", 1.0, None),
}


# The second figure of some: what a request costs is seen where all servers get the same.
ALSO: dict[str, tuple[str, float]] = {
    "open-loop: echo-http at 70% of KServe's": ("cpu_each", 1.0),
    "open-loop: echo-grpc at 70% of KServe's": ("cpu_each", 0.8),
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
            lines.append(_row(results, point, *TARGETS.get(point.key, ("rate", None, None))))
            if also := ALSO.get(point.key):
                lines.append(_row(results, point, *also))
    return "\n".join(lines)


def _row(
    results: Results, point: Point, figure: str, bound: float | None, share: float | None = None
) -> str:
    by_server = results.samples[point.key]
    ours = by_server[US]
    cells = []
    for peer in ("kserve", "mlserver"):
        best = _better(by_server, peer, figure)
        cells.append(f"{Ratio(_of(ours, figure), _of(by_server[best], figure))} {best}" if best else "")
    limit = _limit(results, point)
    cells.append(f"{Ratio([s.rate * point.rows for s in ours], limit)}" if limit else "")
    asked = [f"{'>=' if figure == 'rate' else '<='} {bound}x"] if bound else []
    asked += [f">= {share}x of the limit"] if share else []
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
