"""From figures of rounds to verdicts, with the confidence that so many questions need."""

import math
from collections.abc import Callable, Mapping

from loadtests.compare.report.document import Tone, Verdict
from loadtests.compare.statistics import Difference, compared, level

NAMES = {
    "tandem": "Tandem",
    "tandem-load": "Tandem, by its API",
    "kserve": "KServe as it comes",
    "kserve-tuned": "KServe tuned",
}
Rounds = Mapping[int, float]  # a figure by round


def named(side: str) -> str:
    """A side in a report's words."""
    return NAMES.get(side, side)


class Judge:
    """Answers questions about pairs of sides, each with `error` allowed to it.

    `fair` is the error that a report with all these questions may allow each of them.
    """

    def __init__(self, error: float = 0.05) -> None:
        self._error = error
        self._significances: list[float] = []
        self.asked = 0
        self.differences: dict[str, Difference] = {}  # by question and side, for machines

    @property
    def fair(self) -> float:
        """See loadtests.compare.statistics.level."""
        return level(self._significances)

    def verdict(
        self,
        question: str,
        sides: tuple[str, str],
        ours: Rounds,
        theirs: Rounds,
        write: Callable[[float], str],
        lower_is_better: bool = True,
        caution: str = "",
        topic: str = "",
    ) -> Verdict:
        """Whether the first side differs from the second; figures above 0, paired by round."""
        self.asked += 1
        one, other = (named(side) for side in sides)
        both = [number for number in sorted(ours) if number in theirs]
        pairs = [(ours[number], theirs[number]) for number in both]
        pairs = [pair for pair in pairs if all(0 < value < math.inf for value in pair)]
        if len(pairs) < 2:
            why = _why(one, ours, other, theirs)
            return Verdict(question, f"Not answered: {why}.", "unknown", against=other, topic=topic)
        figures = [a for a, _ in pairs], [b for _, b in pairs]
        found = compared(*figures, confidence=1 - self._error)
        self._significances.append(found.significance)
        self.differences[f"{question} | {sides[0]} | {sides[1]}"] = found
        brief = f"{write(found.ours)} against {write(found.theirs)}"
        ratio = found.ratio
        evidence = (
            f"ratio {ratio.middle:.2f}, between {_bound(ratio.low)} and {_bound(ratio.high)}; "
            f"{found.rounds} rounds"
        )
        tone: Tone = "better" if (found.verdict == "lower") == lower_is_better else "worse"
        answer = f"{one} is {tone}: {brief} of {other}, {_times(ratio.middle)}."
        if caution:
            tone, answer = "unknown", f"{one} {brief} of {other}, but {caution}."
        elif found.verdict == "no difference shown":
            tone, answer = "same", f"No difference shown: {one} {brief} of {other}."
        return Verdict(question, answer, tone, evidence, other, brief, topic, ratio.middle)


def _why(one: str, ours: Rounds, other: str, theirs: Rounds) -> str:
    for name, rounds in ((one, ours), (other, theirs)):
        usable = [value for value in rounds.values() if 0 < value < math.inf]
        if len(usable) < 2:
            return f"{name} has fewer than two rounds with a figure"
    return "fewer than two rounds have a figure of both"


def _times(ratio: float) -> str:
    return f"{ratio:.2f} times as much" if 0.01 <= ratio < 100 else f"{ratio:.3g} times as much"


def _bound(value: float) -> str:
    if value < 0.01:
        return "0.01"
    return f"{value:.2f}" if value < 100 else "100 or more"


def ms(seconds: float) -> str:
    """Milliseconds, three digits."""
    value = seconds * 1000
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "no answer"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s"


def mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.2g} MiB"


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
