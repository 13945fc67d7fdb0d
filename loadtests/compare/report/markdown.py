"""The report as Markdown for GitHub: plots are named, and seen in the page only."""

import re

from markupsafe import Markup

from loadtests.compare.report.document import Report, printable
from loadtests.compare.report.templates import environment, written

# What could begin emphasis, code, a link, mathematics or a cell, wherever it stands.
_INLINE = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# What would make a heading, a list, a rule or an underlined heading of a line's beginning.
_BLOCK = re.compile(r"^([-+=#]+(?=\s|$)|-{3,}|={3,}|\d+(?=[.)](\s|$)))")


def markdown(report: Report) -> str:
    """The text, of which nothing from the report is markup."""
    return written("report.md.jinja", _TEXT, report)


def _escaped(raw: str) -> str:
    """On one line, and nothing but text."""
    line = " ".join(raw.split())
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line).replace("<", "&lt;").replace(">", "&gt;")
    line = _INLINE.sub(r"\\\g<0>", line)
    return _BLOCK.sub(lambda found: found[0] + "\\" if found[0].isdigit() else "\\" + found[0], line)


def _code(raw: str) -> Markup:
    """On one line, in a table: a stroke would end the cell."""
    line = " ".join(printable(raw).split())
    fence = _fence(line, 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return Markup(f"{fence}{space}{line}{space}{fence}".replace("|", "\\|") if line else "")


def _fenced(line: str) -> Markup:
    fence = _fence(line, 3)
    return Markup(f"{fence}shell\n{printable(line)}\n{fence}")


def _fence(text: str, least: int) -> str:
    """Longer than any in the text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


_TEXT = environment(_escaped)
_TEXT.filters.update(code=_code, fenced=_fenced)
