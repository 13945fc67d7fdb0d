"""The templates of both formats, and what they share: nothing that they show is markup by itself."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loadtests.compare.report.document import Report, Tone, Verdict, printable

FOLDER = Path(__file__).with_name("templates")
_TONES: dict[Tone, tuple[Markup, str]] = {
    "better": (Markup("✓"), "better"),
    "worse": (Markup("✕"), "worse"),
    "same": (Markup("="), "no difference shown"),
    "unknown": (Markup("?"), "not shown"),
}
_CLAIMS = ("claim", "of what kind", "measured here", "command")


def environment(escaped: Callable[[str], str]) -> Environment:
    """One in which all but markup is shown as `escaped` makes it."""

    def shown(value: Any) -> Markup:
        return value if isinstance(value, Markup) else Markup(escaped(printable(str(value))))

    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["paragraphs"] = _paragraphs
    made.globals.update(tones=_TONES, claim_columns=_CLAIMS)
    return made


def written(template: str, by: Environment, report: Report, **more: Any) -> str:
    """The report by that template."""
    contents = {f"part-{at}": part.title for at, part in enumerate(report.sections, 1)}
    ends = {
        "claims": (report.claims, "What comparison articles claim"),
        "conditions": (report.conditions, "Conditions"),
        "commands": (report.commands, "Commands"),
    }
    contents |= {end: title for end, (there, title) in ends.items() if there}
    text = by.get_template(template).render(
        report=report, contents=contents, questions=_questions(report), **more
    )
    return text.strip() + "\n"


def _questions(report: Report) -> dict[tuple[int, str], dict[str, Verdict]]:
    """Answers by section and question, then by whom they are about."""
    found: dict[tuple[int, str], dict[str, Verdict]] = {}
    for number, part in enumerate(report.sections, 1):
        for one in part.verdicts:
            found.setdefault((number, one.question), {})[one.against] = one
    return found


def _paragraphs(text: str) -> list[str]:
    """Between which it has an empty line."""
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]
