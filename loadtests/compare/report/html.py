"""The report as one page that needs nothing else: no network, no script."""

import re
from itertools import count

from markupsafe import Markup, escape

from loadtests.compare.report.document import Plot, Report, Table
from loadtests.compare.report.drawing import COLOURS, GLYPHS, NAMES
from loadtests.compare.report.plots import svg
from loadtests.compare.report.templates import environment, written

# An amount with its unit, or two of them, and perhaps an interval; or a sign that there is none.
_ONE = r"[<>≤≥~≈±+−-]?\d[\d,]*(\.\d+)?( ?[^\s\d(.–]{1,8})?"  # noqa: RUF001
_AMOUNT = re.compile(rf"{_ONE}(( to |–){_ONE})?( ?\([^()]*\d[^()]*\))?")  # noqa: RUF001
_NOTHING = {"", "-", "–", "—", "?", "∞", "inf", "n/a"}  # noqa: RUF001


def html(report: Report) -> str:
    """The page; everything from the report is escaped."""
    numbers = count(1)

    def draw(plot: Plot) -> Markup:
        return Markup(svg(plot, f"plot-{next(numbers)}-"))

    return written("page.html.jinja", _PAGE, report, draw=draw)


def _styles(table: Table) -> list[str]:
    """A class for each column: numbers stand at the right."""
    head, *rows = table.filled
    return ["number" if _numeric([row[at] for row in rows]) else "" for at in range(len(head))]


def _numeric(cells: list[str]) -> bool:
    known = [cell.strip() for cell in cells if cell.strip() not in _NOTHING]
    return bool(known) and all(_AMOUNT.fullmatch(cell) for cell in known)


_PAGE = environment(escape)
_PAGE.filters.update(styles=_styles, variable=lambda colour: f"var(--{NAMES[colour]}, {colour})")
_PAGE.globals.update(colours=COLOURS, glyphs=GLYPHS)
