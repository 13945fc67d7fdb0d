"""The texts name what is there: files, links, words."""

import re
from pathlib import Path

import pytest

from tests.package.tracked import ROOT, tracked

DECISIONS = tracked("docs/decisions/*.md")
TEXTS = [ROOT / "README.md", *tracked("docs/*.md"), *DECISIONS]
# What parts of Tandem were called before.
OLD = re.compile(
    r"short way|stubborn|serve_app[/.](?:check|local|doctor|launcher|loopback|cli)\b", re.IGNORECASE
)
# Words that only those who wrote them understand.
PRIVATE = re.compile(
    r"narrow(?:ing|ed)|\bwho leaves\b|better of a peer's two|\bthe rooms\b", re.IGNORECASE
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_files_that_a_text_names_are_there(path: Path) -> None:
    # After an `=` stands what a user may have.
    pattern = r"(?<![=\w/])(?:serve_app|loadtests|tests|configs|docs)/[\w./*-]*[\w*]"
    assert [one for one in re.findall(pattern, path.read_text()) if not any(ROOT.glob(one))] == []


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    own = [link for link in links if "://" not in link]
    assert [link for link in own if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_no_old_words(path: Path) -> None:
    assert OLD.findall(path.read_text()) == []


@pytest.mark.parametrize("path", sorted(set(TEXTS) - set(DECISIONS)), ids=name)
def test_no_private_words(path: Path) -> None:
    assert PRIVATE.findall(path.read_text()) == []


def test_readme_is_one_page_and_links_every_other() -> None:
    readme = (ROOT / "README.md").read_text()
    assert readme.count("\n") < 150
    pages = {path.name for path in tracked("docs/*.md")}
    assert pages - set(re.findall(r"\]\(docs/([\w-]+\.md)", readme)) == set()


def test_the_figures_of_the_readme_are_those_of_the_performance_page() -> None:
    rows = re.findall(r"^\|.*\| (Tandem answered .*) \|$", (ROOT / "README.md").read_text(), re.M)
    table = (ROOT / "docs/performance.md").read_text().partition("The second table")[0]
    assert len(rows) == 5
    for row in rows:
        rate, *times = re.findall(r"\d[\d,]*(?:\.\d+)?", row)
        (line,) = [
            one for one in table.splitlines() if f"| per second | {rate.replace(',', '')} |" in one
        ]
        ratios = [float(one) for one in re.findall(r"([\d.]+)x \(", line)]
        assert all(any(abs(float(one) - ratio) < 0.0501 for ratio in ratios) for one in times), row


def test_decisions_have_numbers_of_their_own() -> None:
    """Some may be missing: those of decisions that are being written."""
    found = [path.name[:4] for path in DECISIONS]
    assert found[0] == "0001"
    assert found == sorted(set(found))
