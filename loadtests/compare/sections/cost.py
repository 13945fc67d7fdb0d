"""What requests cost, in CPU and memory, and in dollars at given prices."""

import math
from statistics import median

from loadtests.compare.cases import title
from loadtests.compare.figures import cpu_per_1000, moderate, reach, rounds_of
from loadtests.compare.judge import Judge, mib, named, per_second
from loadtests.compare.options import Prices, Slo
from loadtests.compare.report.document import Section, Table
from loadtests.compare.results import Results, Run


def section(
    results: Results, slos: dict[str, Slo], prices: Prices, cores: int, judge: Judge
) -> Section | None:
    """None where no server's use could be seen."""
    cases = list(dict.fromkeys(run.case for run in results.of("load") if run.server_cpu is not None))
    if not cases:
        return None
    made = Section(
        "Cost",
        "CPU and memory are of all processes of a server, CPU at the same moderate rate on all sides. "
        f"A million requests at the SLO takes a machine of {cores} cores as long as the highest "
        f"rate inside the SLO makes it; its price is ${prices.core:g} per core and "
        f"${prices.gib:g} per GiB used, an hour.",
    )
    first = results.sides[0]
    rows = []
    for case in cases:
        rate = moderate(results, case)
        for other in results.sides[1:]:
            made.verdicts.append(
                judge.verdict(
                    f"{title(case)}: CPU seconds per 1,000 requests at {per_second(rate)}?",
                    (first, other),
                    _cpu(results, case, first, rate),
                    _cpu(results, case, other, rate),
                    lambda value: f"{value:.2f} s",
                    topic="cpu",
                )
            )
        for side in results.sides:
            runs = list(results.of("load", case, side))
            cpu = _cpu(results, case, side, rate)
            if not cpu:
                continue
            memory = median(run.memory for run in runs if run.memory is not None)
            rates = [reach(some, slos[case]).rate for some in rounds_of(runs).values()]
            dollars = per_million(median(rates), cores, memory, prices)
            rows.append(
                [
                    title(case),
                    named(side),
                    f"{median(cpu.values()):.2f} s",
                    mib(memory),
                    per_second(median(rates)),
                    f"${dollars:.3g}" if dollars < math.inf else "not inside the SLO",
                    str(math.ceil(1000 / median(rates))) if median(rates) else "-",
                ]
            )
    for other in results.sides[1:]:
        ours, theirs = (_largest(results, side) for side in (first, other))
        question = "Memory of the whole server under load?"
        made.verdicts.append(judge.verdict(question, (first, other), ours, theirs, mib, topic="memory"))
    head = ["", "", "CPU per 1,000", "memory", "rate at the SLO", "per million requests"]
    made.tables.append(Table([*head, "such machines for 1,000/s"], rows, "Medians of rounds"))
    made.notes.append(
        "Without the client's CPU, which shared the cores; without nodes' overhead, sidecars, gateways, "
        "Ray's head on a node of its own, and idle replicas, which decide the bill of a real cluster."
    )
    return made


def per_million(rate: float, cores: int, memory: float, prices: Prices) -> float:
    """Dollars for a million requests on a machine that is busy with so many per second."""
    if not rate:
        return math.inf
    per_hour = cores * prices.core + memory / 2**30 * prices.gib
    return per_hour / 3600 / rate * 1e6


def _largest(results: Results, side: str) -> dict[int, float]:
    """Bytes of all its processes with all models in it, the most of each round."""
    found: dict[int, float] = {}
    for run in results.of("load", side=side):
        if run.memory is not None:
            found[run.round] = max(run.memory, found.get(run.round, 0))
    return found


def _cpu(results: Results, case: str, side: str, rate: float) -> dict[int, float]:
    runs: list[Run] = [run for run in results.of("load", case, side) if run.rate == rate]
    return {run.round: cpu for run in runs if (cpu := cpu_per_1000(run)) is not None}
