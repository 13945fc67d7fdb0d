"""Results to a report."""

from loadtests.compare.figures import often, saturated
from loadtests.compare.judge import Judge, named
from loadtests.compare.options import Options, Prices, Slo
from loadtests.compare.report.document import Report, Section
from loadtests.compare.results import Results
from loadtests.compare.sections import burst, choice, claims, cost, load, models, setting, start, switch
from loadtests.compare.statistics import Difference


def report(results: Results) -> Report:
    about = results.about
    sections, judge = _judged(results)
    names = [named(side) for side in results.sides]
    return Report(
        title=f"{names[0]} against {' and '.join(names[1:])}",
        sides=names,
        subtitle=f"{about['machine']['cores']} cores, {about['began']}. {judge.asked} questions; "
        "intervals so wide that of the differences shown one in twenty may be chance.",
        choose=choice.lines(results.sides, sections),
        warnings=_warnings(results),
        sections=sections,
        claims=claims.rows(results, slos(results)),
        claimed=claims.BY,
        conditions=setting.tables(results),
        absent=setting.absent(results),
        commands=[
            ("This run again", " ".join(about["command"])),
            ("Tandem against KServe's model server, an hour and a half", "make compare"),
            ("Start and load alone, in five to six minutes", "make compare ARGS=--quick"),
            (
                "Two clusters that run already",
                "python -m loadtests.compare --target tandem=http://HOST:8000,grpc=HOST:9000 "
                "--target kserve=https://GATEWAY,grpc=GATEWAY:443,host=MODEL.DOMAIN,token-env=TOKEN",
            ),
            ("This page from its raw samples", "python -m loadtests.compare --report results.json"),
        ],
    )


def judged(results: Results) -> dict[str, Difference]:
    """What the verdicts rest on, by question and sides."""
    return _judged(results)[1].differences


def _judged(results: Results) -> tuple[list[Section], Judge]:
    """Two passes: only the first tells what all the questions together allow each of them."""
    first = Judge()
    _sections(results, first)
    judge = Judge(first.fair)
    return _sections(results, judge), judge


def slos(results: Results) -> dict[str, Slo]:
    """The SLO of every case that was loaded."""
    given = {of: Slo(**slo) for of, slo in results.about["options"]["slos"].items()}
    options = Options(slos=given)
    return {run.case: options.slo(run.case) for run in results.of("load")}


def _sections(results: Results, judge: Judge) -> list[Section]:
    about = results.about
    options, limits = about["options"], slos(results)
    found = [
        start.section(results, judge),
        *load.sections(results, limits, judge),
        switch.section(results, judge),
        models.section(results, judge),
        burst.section(results, options["calm"], options["spike"], judge),
        cost.section(results, limits, Prices(**options["prices"]), about["machine"]["cores"], judge),
    ]
    return [section for section in found if section is not None]


def _warnings(results: Results) -> list[str]:
    found = []
    if not results.finished:
        found.append("The run was not finished: what is here was measured, the rest is missing.")
    for side in results.about["sides"]:
        if side["kind"] == "running":
            found.append(
                f"{named(side['name'])} ran already: its replicas, threads, batching and cores were not "
                "looked at. What can be seen from outside, models and answers, is the same."
            )
    for event in results.events:
        where = "before the first round" if event.round < 0 else f"in round {event.round + 1}"
        found.append(f"{named(event.side)}, {event.part}, {where}: {event.what}")
    for side in results.sides:
        runs = list(results.of("load", side=side))
        late = sum(saturated(run) for run in runs)
        if often(late, len(runs)):
            found.append(
                f"The client was saturated in {late} of {len(runs)} runs on {named(side)}: its own "
                "slowness is "
                "in those latencies. Give it more processes (--processes), or a machine of its own."
            )
    for run in results.runs:
        if run.errors and run.part != "load":
            errors = ", ".join(f"{text} ({count})" for text, count in list(run.errors.items())[:3])
            found.append(
                f"{named(run.side)}, {run.part}, round {run.round + 1}: {run.failed} failed: {errors}"
            )
    return found
