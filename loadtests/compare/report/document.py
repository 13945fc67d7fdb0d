"""A report before it is written down: plain words, figures and plots, the same for every format."""

import math
import re
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["better", "worse", "same", "unknown"]  # of the first side, or none shown
Cell = str


@dataclass(frozen=True)
class Verdict:
    """An answer to a question, with what it rests on.

    `answer` is one plain sentence; `evidence` its interval and rounds, in the reader's units.
    """

    question: str
    answer: str
    tone: Tone
    evidence: str = ""
    against: str = ""  # which side, where there are several questions alike
    brief: str = ""  # the figures alone
    topic: str = ""  # what it is about, for the lines that a report begins with
    ratio: float = math.nan  # the first side's figure by the other's

    @property
    def asked(self) -> str:
        """The question with whom it is about."""
        return (
            f"{self.question.removesuffix('?')}, against {self.against}?"
            if self.against
            else self.question
        )


@dataclass(frozen=True)
class Series:
    """One line or group of bars. `low` and `high` are the ends of error bars, empty for none.

    `place` says which side it belongs to, by its place among the sides: it keeps its colour
    throughout the report. `hollow` holds the indices of points to draw hollow, which the plot's note
    explains.
    """

    name: str
    place: int
    x: list[float]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    dashed: bool = False
    hollow: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Mark:
    """A line across the plot, with a word: an SLO (`at` on y), a moment (`at` on x)."""

    text: str
    at: float
    axis: Literal["x", "y"] = "y"


@dataclass(frozen=True)
class Plot:
    """`kind` bars: one group of bars for each of `ticks`, x then counts the ticks."""

    title: str
    x: str
    y: str
    series: list[Series]
    kind: Literal["lines", "bars"] = "lines"
    log_x: bool = False
    log_y: bool = False
    ticks: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    note: str = ""

    @property
    def axes(self) -> str:
        """What they show, in words."""
        return ", ".join(axis for axis in (self.y, self.x) if axis)


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading; numbers are formatted by who makes the table."""

    head: list[str]
    rows: list[list[Cell]]
    title: str = ""

    @property
    def filled(self) -> list[list[Cell]]:
        """Head and rows, all as long as the longest."""
        lines = [self.head, *self.rows]
        width = max(map(len, lines))
        return [[*line, *[""] * (width - len(line))] for line in lines]


@dataclass
class Section:
    """One question's part of the page."""

    title: str
    intro: str
    verdicts: list[Verdict] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Report:
    """The page. `sides` are their names in order; the first is the one that verdicts speak of."""

    title: str
    sides: list[str]
    subtitle: str = ""
    warnings: list[str] = field(default_factory=list)  # what a reader must know first
    sections: list[Section] = field(default_factory=list)
    claims: list[list[Cell]] = field(default_factory=list)  # claim, its kind, measured here, command
    conditions: list[Table] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  # what one machine doesn't show
    commands: list[tuple[str, str]] = field(default_factory=list)  # what it does, the command
    choose: list[str] = field(default_factory=list)  # what to choose when; comes first
    claimed: str = ""  # what says all that is in `claims`

    @property
    def peers(self) -> list[str]:
        """Those that verdicts compare the first side with, in the order of the sides."""
        named = {verdict.against for section in self.sections for verdict in section.verdicts}
        return [side for side in self.sides if side in named]


# Controls, surrogates alone, and what turns the direction of the text around.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """Without characters that break a page: names and error texts come from elsewhere."""
    return _UNPRINTABLE.sub("\ufffd", text)
