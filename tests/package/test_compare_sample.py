"""The report in docs/ is what its raw samples say."""

from loadtests.compare.build import report
from loadtests.compare.report.html import html
from loadtests.compare.report.markdown import markdown
from loadtests.compare.results import Results
from tests.server import ROOT

FOLDER = ROOT / "docs" / "comparison"
AGAIN = "python -m loadtests.compare --report docs/comparison/results.json.xz writes it anew"


def test_every_number_comes_from_the_samples() -> None:
    made = report(Results.load(FOLDER / "results.json.xz"))
    assert (FOLDER / "report.md").read_text() == markdown(made), AGAIN
    assert (FOLDER / "report.html").read_text() == html(made), AGAIN


def test_it_is_a_whole_run_of_equal_sides() -> None:
    results = Results.load(FOLDER / "results.json.xz")
    assert results.finished
    assert results.events == []
    assert results.checks
    assert sum(run.failed + run.wrong for run in results.runs) == 0
    assert {run.part for run in results.runs} == {"capacity", "load", "burst", "switch", "models"}
