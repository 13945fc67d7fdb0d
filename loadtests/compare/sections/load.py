"""Latency against throughput, one section per case."""

import math
from dataclasses import replace
from statistics import median

from loadtests.compare.cases import title
from loadtests.compare.figures import (
    QUANTILES,
    capacity,
    good,
    moderate,
    often,
    pooled,
    quantile,
    reach,
    rounds_of,
    saturated,
)
from loadtests.compare.judge import Judge, ms, named, per_second
from loadtests.compare.options import Slo
from loadtests.compare.report.document import Mark, Plot, Section, Series, Table, Verdict
from loadtests.compare.results import Results, Run


def sections(results: Results, slos: dict[str, Slo], judge: Judge) -> list[Section]:
    """Of every case that was loaded."""
    cases = list(dict.fromkeys(run.case for run in results.of("load")))
    return [_section(results, case, slos[case], judge) for case in cases]


def _section(results: Results, case: str, slo: Slo, judge: Judge) -> Section:
    made = Section(
        f"Latency and throughput: {title(case)}",
        "Requests come at the same random times on all sides, whether or not earlier ones were "
        "answered; "
        f"latency counts from when a request was due. The SLO is {slo}.",
    )
    first = results.sides[0]
    if any(run.round >= 0 for run in results.of("capacity", case)):
        for other in results.sides[1:]:
            made.verdicts.append(_closed(results, case, (first, other), judge))
    for other in results.sides[1:]:
        made.verdicts.append(_reached(results, case, slo, (first, other), judge))
    rate = moderate(results, case)
    for other in results.sides[1:]:
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            made.verdicts.append(
                judge.verdict(
                    f"{title(case)}, {name} at {per_second(rate)}?",
                    (first, other),
                    _at(results, case, first, rate, share),
                    _at(results, case, other, rate, share),
                    ms,
                    caution=_caution(results, case, rate, (first, other)),
                    topic="wait",
                )
            )
    marks = [Mark(f"SLO, p{slo.quantile * 100:g}", slo.seconds * 1000)]
    rates = "requests per second, offered"
    for share, name, some in ((0.5, "p50", []), (slo.quantile, f"p{slo.quantile * 100:g}", marks)):
        series = [_curve(results, case, side, place, share) for place, side in enumerate(results.sides)]
        note = "Medians over the rounds, bars from least to most. Hollow: the client was saturated."
        made.plots.append(
            Plot(
                f"{name} against load", rates, f"{name}, ms", series, "lines", True, True, [], some, note
            )
        )
    # From zero, or a side whose answers all come too late would leave the plot.
    goods = [_goodput(results, case, side, place, slo) for place, side in enumerate(results.sides)]
    label = f"answers within {slo.seconds * 1000:g} ms, per second"
    made.plots.append(Plot("Goodput", rates, label, goods, "lines", log_x=True))
    made.tables.append(_table(results, case, slo))
    return made


def _closed(results: Results, case: str, sides: tuple[str, str], judge: Judge) -> Verdict:
    """As fast as it answers; the preparation, before the first round, is another run."""
    found = {
        side: {run.round: run for run in results.of("capacity", case, side) if run.round >= 0}
        for side in sides
    }
    spoilt = {side: {n for n, run in found[side].items() if saturated(run)} for side in sides}
    rates = {side: {n: run.achieved for n, run in found[side].items()} for side in sides}
    question = f"{title(case)}: answers per second, as fast as it can?"
    return _highest(question, sides, rates, spoilt, judge)


def _highest(
    question: str,
    sides: tuple[str, str],
    rates: dict[str, dict[int, float]],
    spoilt: dict[str, set[int]],  # rounds in which the client was saturated first
    judge: Judge,
) -> Verdict:
    """What the client couldn't reach is at least what it reached: that can only speak for a side."""
    limited = [side for side in sides if often(len(spoilt[side]), len(rates[side]))]
    if not limited:
        out = spoilt[sides[0]] | spoilt[sides[1]]
        rates = {side: {n: v for n, v in rates[side].items() if n not in out} for side in sides}
    ours, theirs = (rates[side] for side in sides)
    made = judge.verdict(question, sides, ours, theirs, per_second, lower_is_better=False, topic="rate")
    if not limited or (made.tone, limited) in (("better", [sides[0]]), ("worse", [sides[1]])):
        return made
    names = " and ".join(named(side) for side in limited)
    answer = f"Not answered ({made.brief}): the client was saturated before {names} was."
    return replace(made, answer=answer, tone="unknown")


def _reached(results: Results, case: str, slo: Slo, sides: tuple[str, str], judge: Judge) -> Verdict:
    found = {}
    for side in sides:
        rounds = rounds_of(results.of("load", case, side))
        found[side] = {number: reach(runs, slo) for number, runs in rounds.items()}
    rates = {side: {number: one.rate for number, one in found[side].items()} for side in sides}
    spoilt = {side: {n for n, one in found[side].items() if one.client} for side in sides}
    made = _highest(f"{title(case)}: highest rate with {slo}?", sides, rates, spoilt, judge)
    if made.tone == "unknown":
        return made
    more = [named(side) for side in sides if any(one.least for one in found[side].values())]
    if more:
        words = f"{' and '.join(more)} met it as far as was measured, and may do more."
        made = replace(made, answer=f"{made.answer} {words}")
    return made


def _at(results: Results, case: str, side: str, rate: float, share: float) -> dict[int, float]:
    """By round, without those in which the client was saturated."""
    return {
        run.round: quantile(run.latencies, share)
        for run in results.of("load", case, side)
        if run.rate == rate and not saturated(run)
    }


def _caution(results: Results, case: str, rate: float, sides: tuple[str, str]) -> str:
    for side in sides:
        some = [run for run in results.of("load", case, side) if run.rate == rate]
        if often(sum(map(saturated, some)), len(some)):
            return "the client was saturated"
    return ""


def _by_rate(results: Results, case: str, side: str) -> dict[float, list[Run]]:
    found: dict[float, list[Run]] = {}
    for run in results.of("load", case, side):
        found.setdefault(run.rate, []).append(run)
    return dict(sorted(found.items()))


def _curve(results: Results, case: str, side: str, place: int, share: float) -> Series:
    by_rate = _by_rate(results, case, side)
    values = [[quantile(run.latencies, share) * 1000 for run in runs] for runs in by_rate.values()]
    hollow = [at for at, runs in enumerate(by_rate.values()) if any(saturated(run) for run in runs)]
    return Series(
        named(side),
        place,
        list(by_rate),
        [median(some) for some in values],
        [min(some) for some in values],
        [max(some) for some in values],
        hollow=hollow,
    )


def _goodput(results: Results, case: str, side: str, place: int, slo: Slo) -> Series:
    by_rate = _by_rate(results, case, side)
    values = [median(good(run, slo) for run in runs) for runs in by_rate.values()]
    return Series(named(side), place, list(by_rate), values)


def _table(results: Results, case: str, slo: Slo) -> Table:
    rows = []
    for side in results.sides:
        most = capacity(results, case, side)
        for rate, runs in _by_rate(results, case, side).items():
            latencies = pooled(runs)
            late = max(quantile(run.late, 0.99) for run in runs)
            rows.append(
                [
                    named(side),
                    per_second(rate),
                    per_second(median(run.achieved for run in runs)),
                    *(ms(quantile(latencies, share)) for share in QUANTILES),
                    str(sum(run.failed for run in runs)),
                    f"{_cores(runs):.2f}" if not math.isnan(_cores(runs)) else "-",
                    f"{median(run.client_cpu for run in runs):.2f}",
                    ms(late) + (" (saturated)" if any(saturated(run) for run in runs) else ""),
                ]
            )
        rows.append([named(side), "closed loop", per_second(most), *[""] * (len(QUANTILES) + 4)])
    head = ["", "offered", "answered", *(f"p{share * 100:g}" for share in QUANTILES)]
    head += ["failed", "server cores", "client cores", "client late, p99"]
    return Table(head, rows, "All rounds' requests together")


def _cores(runs: list[Run]) -> float:
    found = [run.server_cpu / run.server_wall for run in runs if run.server_cpu is not None]
    return median(found) if found else math.nan
