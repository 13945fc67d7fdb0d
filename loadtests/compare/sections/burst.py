"""A burst of ten times the load."""

import math
from collections.abc import Callable
from statistics import median

import numpy as np

from loadtests.compare.cases import title
from loadtests.compare.figures import quantile
from loadtests.compare.judge import Judge, ms, named, per_second, seconds
from loadtests.compare.report.document import Mark, Plot, Section, Series, Table
from loadtests.compare.results import Results, Run

_BIN_S = 0.5
_STRETCH_S = 0.25
_BY_CHANCE = 0.1
_CALM = 2.0  # as far above the p99 of before as counts as calm again


def section(results: Results, calm: float, spike: float, judge: Judge) -> Section | None:
    """None where there was no burst. `calm` and `spike`: seconds before it, and of it."""
    runs = list(results.of("burst"))
    if not runs:
        return None
    rate = runs[0].rate
    made = Section(
        "A burst",
        f"{title(runs[0].case)}: {per_second(rate)}, then ten times that for {spike:g} s, half as much "
        "again "
        "as the slowest side can do, then as before. A side has recovered when no more than one in ten "
        "waits longer than twice the p99 of before.",
    )
    first = results.sides[0]
    figures: tuple[tuple[str, Callable[[Run], float], Callable[[float], str]], ...] = (
        ("p99 of what came during the burst", lambda run: during(run, calm, spike), ms),
        ("time to recover", lambda run: recovery(run, calm, spike), seconds),
    )
    for other in results.sides[1:]:
        for question, figure, write in figures:
            made.verdicts.append(
                judge.verdict(
                    f"Burst: {question}?",
                    (first, other),
                    {run.round: figure(run) for run in runs if run.side == first},
                    {run.round: figure(run) for run in runs if run.side == other},
                    write,
                    topic="burst",
                )
            )
    rows, series = [], []
    for place, side in enumerate(results.sides):
        some = [run for run in runs if run.side == side]
        if not some:
            continue
        series.append(_timeline(some, side, place))
        rows.append(
            [
                named(side),
                str(sum(len(run.latency_us) for run in some)),
                str(sum(run.failed for run in some)),
                ms(median(quantile(run.latencies[run.due < calm], 0.99) for run in some)),
                ms(median(during(run, calm, spike) for run in some)),
                seconds(median(recovery(run, calm, spike) for run in some)),
            ]
        )
    marks = [Mark("begins", calm, "x"), Mark("ends", calm + spike, "x")]
    made.plots.append(
        Plot(
            "The median wait over time",
            "seconds",
            "p50, ms (median of rounds)",
            series,
            log_y=True,
            marks=marks,
        )
    )
    head = ["", "requests", "failed", "p99 before", "p99 during", "recovered after"]
    made.tables.append(Table(head, rows, "Medians of rounds; failures of all"))
    return made


def during(run: Run, calm: float, spike: float) -> float:
    """p99 of what was due in the burst."""
    return quantile(run.latencies[(run.due >= calm) & (run.due < calm + spike)], 0.99)


def recovery(run: Run, calm: float, spike: float) -> float:
    """Seconds from the burst's end, at least 0.1, until the last stretch of slow answers was over.

    A stretch is a quarter of a second; one in ten of it is slow by chance at any time.
    """
    usual, end = quantile(run.latencies[run.due < calm], 0.99), calm + spike
    last = end
    for start in np.arange(calm, run.seconds, _STRETCH_S):
        some = run.latencies[(run.due >= start) & (run.due < start + _STRETCH_S)]
        if len(some) and (some > _CALM * usual).mean() > _BY_CHANCE:
            last = float(start) + _STRETCH_S
    return max(0.1, last - end)


def _timeline(runs: list[Run], side: str, place: int) -> Series:
    bins = np.arange(0, runs[0].seconds, _BIN_S)
    values = []
    for start in bins:
        middles = []
        for run in runs:
            some = run.latencies[(run.due >= start) & (run.due < start + _BIN_S)]
            if len(some) and not math.isinf(middle := quantile(some, 0.5)):
                middles.append(middle * 1000)
        values.append(median(middles) if middles else math.nan)
    return Series(named(side), place, [float(at) + _BIN_S / 2 for at in bins], values)
