"""A model's new version under load."""

import math
from statistics import median

import numpy as np

from loadtests.compare.figures import quantile
from loadtests.compare.judge import Judge, ms, named, seconds
from loadtests.compare.report.document import Mark, Plot, Section, Series, Table
from loadtests.compare.results import Results, Run

_BIN_S = 0.25


def section(results: Results, judge: Judge) -> Section | None:
    """None where nothing was switched."""
    runs = list(results.of("switch"))
    if not runs:
        return None
    made = Section(
        "Another version of a model under load",
        "The digits model goes from version 1 to 2 while requests come. Tandem gets a changed Serve "
        "config, as by serve deploy, or, as `tandem-load`, a load call of its repository API; KServe's "
        "server gets such a call, and loads the new version beside the old one. In a cluster a changed "
        "storageUri starts new pods instead, which takes at least the start above.",
    )
    first = results.sides[0]
    for other in results.sides[1:]:
        for question, figure, write in (
            ("the longest wait of a request", longest, ms),
            ("seconds until all answers come from the new version", until_new, seconds),
        ):
            made.verdicts.append(
                judge.verdict(
                    f"Version switch: {question}?",
                    (first, other),
                    {run.round: figure(run) for run in runs if run.side == first},
                    {run.round: figure(run) for run in runs if run.side == other},
                    write,
                    topic="switch",
                )
            )
    series, rows = [], []
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
                ms(median(before(run) for run in some)),
                ms(median(after(run) for run in some)),
                ms(median(longest(run) for run in some)),
                seconds(median(until_new(run) for run in some)),
            ]
        )
    made.plots.append(
        Plot(
            "The longest wait, quarter second by quarter second",
            "seconds since the switch was asked for",
            "ms (median of rounds)",
            series,
            log_y=True,
            marks=[Mark("asked", 0, "x")],
        )
    )
    head = [
        "",
        "requests",
        "failed",
        "p99 before",
        "p99 after",
        "longest",
        "all on the new version after",
    ]
    made.tables.append(Table(head, rows, "Medians of rounds; failures of all"))
    return made


def _asked(run: Run) -> float:
    return run.moments.get("asked", math.nan)


def before(run: Run) -> float:
    """p99 of what was due before the switch was asked for."""
    return quantile(run.latencies[run.due < _asked(run)], 0.99)


def after(run: Run) -> float:
    """p99 of what was due from then on."""
    return quantile(run.latencies[run.due >= _asked(run)], 0.99)


def longest(run: Run) -> float:
    """Of the answered ones."""
    found = run.latencies[run.due >= _asked(run)]
    found = found[found < math.inf]
    return float(found.max()) if len(found) else math.nan


def until_new(run: Run) -> float:
    """From the asking until the last request was due that an old version answered; NaN without a new."""
    versions = [version for _, version in run.versions]
    if not versions or versions[-1] == versions[0]:
        return math.nan
    old = [due / 1e6 for due, version in run.versions if version != versions[-1]]
    return max(max(old) - _asked(run), 0.001)


def _timeline(runs: list[Run], side: str, place: int) -> Series:
    """Bins of all rounds, from three seconds before to the end."""
    end = max(run.seconds - _asked(run) for run in runs)
    bins = np.arange(-2, end - _BIN_S, _BIN_S)
    values = []
    for start in bins:
        worst = []
        for run in runs:
            since = run.due - _asked(run)
            some = run.latencies[(since >= start) & (since < start + _BIN_S)]
            some = some[some < math.inf]
            if len(some):
                worst.append(float(some.max()) * 1000)
        values.append(median(worst) if worst else math.nan)
    return Series(named(side), place, [float(at) for at in bins], values)
