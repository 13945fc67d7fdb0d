"""The report as Markdown for GitHub: plots are named, and seen in the page only."""

import re
from collections.abc import Iterable

from loadtests.compare.report.document import Cell, Plot, Report, Section, Table, Verdict, printable
from loadtests.compare.report.pieces import CLAIMS, TONES

# What could begin emphasis, code, a link, mathematics or a cell, wherever it stands.
_INLINE = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# What would make a heading, a list, a rule or an underlined heading of a line's beginning.
_BLOCK = re.compile(r"^([-+=#]+(?=\s|$)|-{3,}|={3,}|\d+(?=[.)](\s|$)))")


def markdown(report: Report) -> str:
    """The text, of which nothing from the report is markup."""
    blocks = [
        f"# {_text(report.title)}",
        _text(report.subtitle),
        "\n".join(f"> - {_text(one)}" for one in report.warnings),
        _in_short(report),
        *(block for part in report.sections for block in _part(part)),
    ]
    if report.claims:
        rows = [[*map(_text, row[:2]), *(_code(cell) for cell in row[2:3])] for row in report.claims]
        blocks += ["## The article's claims", _table(CLAIMS, rows)]
    if report.conditions:
        blocks += ["## Conditions", *(block for table in report.conditions for block in _titled(table))]
    if report.absent:
        blocks += ["## What is absent", _bullets(report.absent)]
    if report.commands:
        blocks += ["## Commands"]
        blocks += [block for what, line in report.commands for block in (_text(what), _fenced(line))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _in_short(report: Report) -> str:
    rows = [
        [_tone(one), _text(one.asked), f"**{_text(one.answer)}**", _text(one.evidence)]
        for part in report.sections
        for one in part.verdicts
    ]
    first = f"“Better” and “worse” speak of {_text(report.sides[0])}.\n\n" if report.sides else ""
    table = _table(["", "question", "answer", "evidence"], rows)
    return f"## In short\n\n{first}{table}" if rows else ""


def _part(part: Section) -> list[str]:
    return [
        f"## {_text(part.title)}",
        *(_text(paragraph) for paragraph in re.split(r"\n\s*\n", part.intro)),
        "\n".join(_verdict(one) for one in part.verdicts),
        *map(_plot, part.plots),
        *(block for table in part.tables for block in _titled(table)),
        _bullets(part.notes),
    ]


def _verdict(one: Verdict) -> str:
    evidence = f" ({_text(one.evidence)})" if one.evidence else ""
    return f"- {_text(one.asked)} **{_text(one.answer)}** {_tone(one)}{evidence}"


def _tone(one: Verdict) -> str:
    sign, word = TONES[one.tone]
    return f"{sign} {word}"


def _plot(plot: Plot) -> str:
    axes = ", ".join(_text(axis) for axis in (plot.y, plot.x) if axis)
    note = f". {_text(plot.note)}" if plot.note else ""
    return f"*Plot in the HTML page: {_text(plot.title)}* ({axes}){note}"


def _titled(table: Table) -> list[str]:
    title = f"**{_text(table.title)}**" if table.title else ""
    rows = [[_text(cell) for cell in row] for row in table.rows]
    return [title, _table([_text(name) for name in table.head], rows)]


def _table(head: Iterable[str], rows: list[list[Cell]]) -> str:
    """Of cells that are markup already; a short row is filled up, or GitHub sees no table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    width = max(map(len, lines))
    filled = [[*line, *[""] * (width - len(line))] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in filled)


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {_text(item)}" for item in items)


def _text(raw: str) -> str:
    """On one line, and nothing but text."""
    line = " ".join(printable(raw).split())
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line).replace("<", "&lt;").replace(">", "&gt;")
    line = _INLINE.sub(r"\\\g<0>", line)
    return _BLOCK.sub(lambda found: found[0] + "\\" if found[0].isdigit() else "\\" + found[0], line)


def _code(raw: str) -> str:
    """On one line, in a table: a stroke would end the cell."""
    line = " ".join(printable(raw).split())
    fence = _fence(line, 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|") if line else ""


def _fenced(line: str) -> str:
    fence = _fence(line, 3)
    return f"{fence}shell\n{printable(line)}\n{fence}"


def _fence(text: str, least: int) -> str:
    """Longer than any in the text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))
