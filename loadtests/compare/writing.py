"""A report as files beside its results."""

from pathlib import Path

from loadtests.compare.build import report
from loadtests.compare.report.html import html
from loadtests.compare.report.markdown import markdown
from loadtests.compare.results import Results


def write(results: Results, folder: Path) -> list[Path]:
    """`report.html` and `report.md`."""
    made = report(results)
    files = {folder / "report.html": html(made), folder / "report.md": markdown(made)}
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    return list(files)
