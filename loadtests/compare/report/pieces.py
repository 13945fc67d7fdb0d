"""Pieces of the HTML page: verdicts, plots, tables, lists."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from itertools import zip_longest

from loadtests.compare.report.document import Cell, Plot, Table, Tone, Verdict, printable
from loadtests.compare.report.plots import svg

# Colour is never alone: a sign and a word say the same.
TONES: dict[Tone, tuple[str, str]] = {
    "better": ("✓", "better"),
    "worse": ("✕", "worse"),
    "same": ("=", "no difference shown"),
    "unknown": ("?", "not shown"),
}
CLAIMS = ("claim", "measured here", "command")
# An amount with its unit, or two of them, and perhaps an interval; or a sign that there is none.
_ONE = r"[<>≤≥~≈±+−-]?\d[\d,]*(\.\d+)?( ?[^\s\d(.–]{1,8})?"  # noqa: RUF001
_AMOUNT = re.compile(rf"{_ONE}(( to |–){_ONE})?( ?\([^()]*\d[^()]*\))?")  # noqa: RUF001
_NOTHING = {"", "-", "–", "—", "?", "∞", "inf", "n/a"}  # noqa: RUF001


def text(raw: str) -> str:
    """Nothing in it is markup."""
    return escape(printable(raw))


def lines(parts: Iterable[str]) -> str:
    """Those that there are, each on its own."""
    return "\n".join(part for part in parts if part)


def prose(raw: str) -> str:
    """Paragraphs, between which the text has an empty line."""
    return lines(
        f'<p class="prose">{text(part)}</p>' for part in re.split(r"\n\s*\n", raw) if part.strip()
    )


def bullets(items: list[str], style: str = "prose") -> str:
    """A list, or nothing."""
    points = lines(f"<li>{text(item)}</li>" for item in items)
    return f'<ul class="{style}">\n{points}\n</ul>' if items else ""


def section(id: str, title: str, body: str) -> str:
    """With its heading, to which the contents lead."""
    return f'<section id="{id}">\n<h2>{text(title)}</h2>\n{body}\n</section>'


def verdict(one: Verdict, question: str) -> str:
    """A card under the question, which is markup."""
    sign, word = TONES[one.tone]
    return lines(
        [
            f'<article class="verdict {one.tone}">',
            f'<p class="tone"><span aria-hidden="true">{sign}</span> {word}</p>',
            question,
            f'<p class="answer">{text(one.answer)}</p>',
            f'<p class="evidence">{text(one.evidence)}</p>' if one.evidence else "",
            "</article>",
        ]
    )


def matrix(verdicts: list[tuple[int, Verdict]], peers: list[str]) -> str:
    """A row for each question, which leads to its section, and a column for each peer."""
    rows: dict[tuple[int, str], dict[str, Verdict]] = {}
    for number, one in verdicts:
        rows.setdefault((number, one.question), {})[one.against] = one
    head = "".join(f"<th>against {text(peer)}</th>" for peer in peers)
    body = [
        f'<tr><td><a href="#part-{number}">{text(question)}</a></td>'
        f"{''.join(_against(peer, some.get(peer)) for peer in peers)}</tr>"
        for (number, question), some in rows.items()
    ]
    opening = f'<table class="stacked matrix">\n<thead><tr><th></th>{head}</tr></thead>\n<tbody>'
    return lines([opening, *body, "</tbody>", "</table>"])


def _against(peer: str, one: Verdict | None) -> str:
    if one is None:
        return "<td></td>"
    sign, word = TONES[one.tone]
    pill = f'<span class="tone"><span aria-hidden="true">{sign}</span> {word}</span>'
    name = f"against {text(peer)}"
    evidence = f"<br><small>{text(one.evidence)}</small>" if one.evidence else ""
    answer = text(one.brief or one.answer)
    return f'<td class="{one.tone}" data-name="{name}">{pill}<br>{answer}{evidence}</td>'


def figure(plot: Plot, prefix: str) -> str:
    """A plot between its title and its note."""
    note = f"<figcaption>{text(plot.note)}</figcaption>" if plot.note else ""
    return lines(["<figure>", f"<h3>{text(plot.title)}</h3>", svg(plot, prefix), note, "</figure>"])


def table(one: Table) -> str:
    """As wide as it must be, in a box that scrolls; numbers to the right."""
    columns = max(map(len, [one.head, *one.rows]))
    numeric = [_numeric([row[at] for row in one.rows if at < len(row)]) for at in range(columns)]
    styles = [' class="number"' if is_so else "" for is_so in numeric]

    def cells(kind: str, row: list[Cell]) -> str:
        pairs = zip_longest(row, styles, fillvalue="")
        return "".join(f"<{kind}{style}>{text(cell)}</{kind}>" for cell, style in pairs)

    title = f"<h3>{text(one.title)}</h3>" if one.title else ""
    rows = [f"<tr>{cells('td', row)}</tr>" for row in one.rows]
    head = f"<thead><tr>{cells('th', one.head)}</tr></thead>"
    # Who has no pointer scrolls with the keyboard: it takes the focus.
    label = text(one.title) or "Table"
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
    return lines([title, box, "<table>", head, "<tbody>", *rows, "</tbody>", "</table>", "</div>"])


def claims(rows: list[list[Cell]]) -> str:
    """A table whose rows become cards on a phone: their cells say what they are."""
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in CLAIMS)
    body = [f"<tr>{''.join(map(_claim, CLAIMS, row))}</tr>" for row in rows]
    opening = f'<table class="stacked">\n<thead><tr>{head}</tr></thead>\n<tbody>'
    return lines([opening, *body, "</tbody>", "</table>"])


def _claim(name: str, cell: Cell) -> str:
    inner = f"<code>{text(cell)}</code>" if name == CLAIMS[-1] and cell else text(cell)
    return f'<td data-name="{name}">{inner}</td>'


def command(what: str, line: str) -> str:
    """To copy; a long one scrolls by itself."""
    return f'<p class="prose">{text(what)}</p>\n<pre tabindex="0"><code>{text(line)}</code></pre>'


def _numeric(cells: Sequence[Cell]) -> bool:
    known = [cell.strip() for cell in cells if cell.strip() not in _NOTHING]
    return bool(known) and all(_AMOUNT.fullmatch(cell) for cell in known)
