"""The report as one page that needs nothing else: no network, no script."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from loadtests.compare.report import pieces
from loadtests.compare.report.document import Report, Section
from loadtests.compare.report.drawing import COLOURS, GLYPHS
from loadtests.compare.report.pieces import bullets, lines, section, text

_STYLE = Path(__file__).with_name("page.css")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)


def html(report: Report) -> str:
    """The page; everything from the report is escaped."""
    prefixes = (f"plot-{number}-" for number in count(1))
    parts = [
        (f"part-{number}", part.title, _part(part, prefixes))
        for number, part in enumerate(report.sections, 1)
    ]
    ends = [
        ("claims", "The article’s claims", pieces.claims(report.claims)),  # noqa: RUF001
        ("conditions", "Conditions", lines(map(pieces.table, report.conditions))),
        ("absent", "What is absent", bullets(report.absent)),
        ("commands", "Commands", lines(pieces.command(*pair) for pair in report.commands)),
    ]
    parts += [end for end in ends if end[2]]
    body = [_header(report), _in_short(report), _contents(parts), *(section(*part) for part in parts)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(report.title)}</title>
<link rel="icon" href="data:,">
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
{lines(body)}
</main>
</body>
</html>
"""


def _header(report: Report) -> str:
    sides = [
        f'<li><span style="color: {COLOURS[at % len(COLOURS)]}" aria-hidden="true">'
        f"{GLYPHS[at % len(GLYPHS)]}</span> {text(side)}</li>"
        for at, side in enumerate(report.sides)
    ]
    warnings = bullets(report.warnings)
    return lines(
        [
            f"<header>\n<h1>{text(report.title)}</h1>",
            f'<p class="subtitle">{text(report.subtitle)}</p>' if report.subtitle else "",
            f'<ul class="sides">\n{lines(sides)}\n</ul>' if sides else "",
            "</header>",
            f'<aside class="warnings">\n<h2>Know this first</h2>\n{warnings}\n</aside>'
            if warnings
            else "",
        ]
    )


def _in_short(report: Report) -> str:
    every = [(at, one) for at, part in enumerate(report.sections, 1) for one in part.verdicts]
    if not every:
        return ""
    first = f"“Better” and “worse” speak of <b>{text(report.sides[0])}</b>." if report.sides else ""
    if len(report.peers) > 1:
        body = pieces.matrix(every, report.peers)
    else:
        cards = [
            pieces.verdict(one, f'<h3><a href="#part-{at}">{text(one.question)}</a></h3>')
            for at, one in every
        ]
        body = f'<div class="cards">\n{lines(cards)}\n</div>'
    return section("in-short", "In short", f'<p class="prose">{first}</p>\n{body}')


def _contents(parts: list[tuple[str, str, str]]) -> str:
    links = [f'<li><a href="#{id}">{text(title)}</a></li>' for id, title, _ in parts]
    return (
        f'<nav id="contents">\n<h2>Contents</h2>\n<ol>\n{lines(links)}\n</ol>\n</nav>' if links else ""
    )


def _part(part: Section, prefixes: Iterator[str]) -> str:
    verdicts = [
        pieces.verdict(one, f'<p class="question">{text(one.asked)}</p>') for one in part.verdicts
    ]
    plots = [pieces.figure(plot, next(prefixes)) for plot in part.plots]
    alone = " alone" if len(plots) == 1 else ""
    return lines(
        [
            pieces.prose(part.intro),
            f'<div class="answers">\n{lines(verdicts)}\n</div>' if verdicts else "",
            f'<div class="plots{alone}">\n{lines(plots)}\n</div>' if plots else "",
            *map(pieces.table, part.tables),
            bullets(part.notes, "prose notes"),
        ]
    )
