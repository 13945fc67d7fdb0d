"""What a report begins with: three lines that say what to choose when, out of its own verdicts."""

from loadtests.compare.judge import named
from loadtests.compare.report.document import Section, Verdict

# By a verdict's topic: what matters to whoever chooses.
WANTED = {
    "rate": "many requests per second",
    "wait": "short waits at a moderate load",
    "burst": "bursts of load",
    "switch": "a new version under load",
    "start": "a fast start",
    "memory": "little memory",
    "models": "many models in one server",
    "cpu": "little CPU per request",
}
_MOST = 0.75  # of the answers that one side has


def lines(sides: list[str], sections: list[Section]) -> list[str]:
    """For the first side, for the others, and what speaks for neither; none where nothing was asked."""
    first, *others = map(named, sides)
    verdicts = [one for section in sections for one in section.verdicts]
    asked = {topic: [one for one in verdicts if one.topic == topic] for topic in WANTED}
    ours: list[str] = []
    theirs: list[str] = []
    neither: list[str] = []
    for topic, found in asked.items():
        better = [one for one in found if one.tone == "better"]
        worse = [one for one in found if one.tone == "worse"]
        shown, most = len(better) + len(worse), max(better, worse, key=len)
        if shown and len(most) >= _MOST * shown:
            why = _times(most) if len(most) == shown else f"{len(most)} of {shown} answers"
            (ours if most is better else theirs).append(f"{WANTED[topic]} ({why})")
        elif shown:
            neither.append(f"{WANTED[topic]} ({len(better)} of {shown} answers for {first})")
        elif found:
            neither.append(WANTED[topic])
    if not verdicts:
        return []
    return [
        f"Choose {first} for {', '.join(ours)}." if ours else f"Nothing was shown to speak for {first}.",
        f"Choose {' or '.join(others)} for {', '.join(theirs)}."
        if theirs
        else f"Nothing was shown to speak for {' or '.join(others)}.",
        f"Not settled here: {', '.join(neither)}." if neither else "Every question here has its answer.",
    ]


def _times(verdicts: list[Verdict]) -> str:
    """How far apart, whichever way is the better one."""
    found = sorted(max(one.ratio, 1 / one.ratio) for one in verdicts)
    least, most = (f"{value:.2g}" if value < 10 else f"{value:,.0f}" for value in (found[0], found[-1]))
    return f"by a factor of {least}" + (f" to {most}" if most != least else "")
