"""The report in docs/ is what its raw samples say."""

import pytest

from loadtests.compare.build import report
from loadtests.compare.report.document import Report
from loadtests.compare.report.html import html
from loadtests.compare.report.markdown import markdown
from loadtests.compare.results import Results
from loadtests.compare.sections import choice
from tests.server import ROOT

FOLDER = ROOT / "docs" / "comparison"
AGAIN = "python -m loadtests.compare --report docs/comparison/results.json.xz writes it anew"


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.load(FOLDER / "results.json.xz")


@pytest.fixture(scope="module")
def made(results: Results) -> Report:
    return report(results)


def test_every_number_comes_from_the_samples(made: Report) -> None:
    assert (FOLDER / "report.md").read_text() == markdown(made), AGAIN
    assert (FOLDER / "report.html").read_text() == html(made), AGAIN


def test_every_question_has_a_topic(made: Report) -> None:
    """Or it would be missing in the lines on what to choose."""
    topics = {one.topic for section in made.sections for one in section.verdicts}
    assert topics == set(choice.WANTED)


def test_it_is_a_whole_run_of_equal_sides(results: Results) -> None:
    assert results.finished
    assert results.events == []
    assert results.checks
    assert sum(run.failed + run.wrong for run in results.runs) == 0
    assert {run.part for run in results.runs} == {"capacity", "load", "burst", "switch", "models"}
