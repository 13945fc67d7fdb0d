"""Many models in one server."""

import math
from statistics import median

from loadtests.compare.figures import quantile
from loadtests.compare.judge import Judge, mib, ms, named
from loadtests.compare.report.document import Plot, Section, Series, Table
from loadtests.compare.results import Results, Run


def section(results: Results, judge: Judge) -> Section | None:
    """None where it wasn't measured."""
    runs = list(results.of("models"))
    counts = sorted({run.count for run in runs})
    if not runs or len(counts) < 2:
        return None
    made = Section(
        "Many models in one server",
        "Copies of the digits model, requests to all of them in turn, the same rate whatever their "
        "number. "
        "KServe's usual way is a server per model, in a pod of its own: then each model costs what its "
        "whole "
        "server does, the row with one model.",
    )
    first, least, most = results.sides[0], counts[0], counts[-1]
    for other in results.sides[1:]:
        both = (first, other)
        slopes = [_slopes([run for run in runs if run.side == side]) for side in both]
        made.verdicts.append(
            judge.verdict(
                "Memory that one more model takes?",
                both,
                slopes[0],
                slopes[1],
                mib,
                topic="models",
            )
        )
        ours, theirs = (
            _whole([r for r in runs if r.side == side and r.count == least]) for side in both
        )
        which = f"Memory of the whole server with {least} model{'s' if least > 1 else ''}?"
        made.verdicts.append(judge.verdict(which, both, ours, theirs, mib, topic="memory"))
        waits = [
            {
                run.round: quantile(run.latencies, 0.99)
                for run in runs
                if run.side == side and run.count == most
            }
            for side in both
        ]
        question = f"p99 with {most} models?"
        made.verdicts.append(judge.verdict(question, both, waits[0], waits[1], ms, topic="models"))
    rows, memory, latency = [], [], []
    for place, side in enumerate(results.sides):
        some = {count: [r for r in runs if r.side == side and r.count == count] for count in counts}
        known = {count: those for count, those in some.items() if those}
        if not known:
            continue
        sizes = {count: _memory(those) for count, those in known.items()}
        waits_ms = {
            count: median(quantile(r.latencies, 0.99) for r in those) for count, those in known.items()
        }
        x = [float(count) for count in known]
        memory.append(Series(named(side), place, x, [size / 2**20 for size in sizes.values()]))
        latency.append(Series(named(side), place, x, [wait * 1000 for wait in waits_ms.values()]))
        for count, those in known.items():
            failed = sum(run.failed for run in those)
            rows.append([named(side), str(count), mib(sizes[count]), ms(waits_ms[count]), str(failed)])
    models = "models in the server"
    made.plots.append(Plot("Memory", models, "MiB, all its processes", memory))
    made.plots.append(Plot("Latency", models, "p99, ms", latency))
    made.tables.append(Table(["", "models", "memory", "p99", "failed"], rows, "Medians of rounds"))
    return made


def _memory(runs: list[Run]) -> float:
    found = [run.memory for run in runs if run.memory is not None]
    return median(found) if found else math.nan


def _whole(runs: list[Run]) -> dict[int, float]:
    """Bytes, by round."""
    return {run.round: run.memory for run in runs if run.memory is not None}


def _slopes(runs: list[Run]) -> dict[int, float]:
    """Bytes per further model, from the fewest to the most, by round."""
    found = {}
    for number in {run.round for run in runs}:
        known = {run.count: run.memory for run in runs if run.round == number and run.memory is not None}
        if len(known) > 1:
            least, most = min(known), max(known)
            found[number] = (known[most] - known[least]) / (most - least)
    return found
