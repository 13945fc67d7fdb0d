"""From the start of a process to the first right answer."""

from statistics import median

from loadtests.compare.judge import Judge, named, seconds
from loadtests.compare.report.document import Plot, Section, Series, Table
from loadtests.compare.results import Results, Start

_PARTS = ("platform", "import", "load", "warm-up", "rest")


def section(results: Results, judge: Judge) -> Section | None:
    """None where no side was started."""
    sides = [side for side in results.sides if any(s.side == side for s in results.starts)]
    if not sides:
        return None
    made = Section(
        "Start",
        "A process is started, becomes ready, and gives its first right answer for every model. "
        "Platform "
        "is what comes before the process that holds the models (Ray and Serve); import is Python "
        "loading "
        "code; rest is what follows the models: routes, proxies, the first answers.",
    )
    for other in sides[1:] if results.sides[0] in sides else []:
        made.verdicts.append(
            judge.verdict(
                "How long until the first right answer?",
                (sides[0], other),
                _firsts(results, sides[0]),
                _firsts(results, other),
                seconds,
                topic="start",
            )
        )
    rows, series = [], []
    for place, side in enumerate(results.sides):
        starts = [start for start in results.starts if start.side == side]
        if not starts:
            continue
        parts = [median(values) if (values := _part(starts, at)) else 0.0 for at in range(len(_PARTS))]
        series.append(Series(named(side), place, list(range(len(_PARTS))), parts))
        firsts = [start.first for start in starts]
        rows.append(
            [
                named(side),
                str(len(starts)),
                seconds(median(start.ready for start in starts)),
                seconds(median(firsts)),
                f"{seconds(min(firsts))} to {seconds(max(firsts))}",
                *(seconds(part) for part in parts),
            ]
        )
    made.plots.append(
        Plot("Where the time goes", "", "seconds (median)", series, "bars", ticks=list(_PARTS))
    )
    head = ["", "starts", "ready", "first answer", "least to most", *_PARTS]
    made.tables.append(Table(head, rows, "Medians of single starts, files in the machine's cache"))
    made.notes.append(
        "In a cluster a pod's scheduling, the image and the model's download come before all this; "
        "KServe's storage initializer and Ray's head are not in these figures."
    )
    return made


def _firsts(results: Results, side: str) -> dict[int, float]:
    return {start.round: start.first for start in results.starts if start.side == side}


def _part(starts: list[Start], at: int) -> list[float]:
    found = []
    for start in starts:
        if start.platform is None or start.imports is None or start.load is None:
            continue
        known = [start.platform, start.imports, start.load, start.warm_up or 0.0]
        found.append([*known, max(0.0, start.first - sum(known))][at])
    return found
