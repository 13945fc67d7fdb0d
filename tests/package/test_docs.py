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


def test_decisions_are_numbered_one_after_the_other() -> None:
    found = [path.name[:4] for path in DECISIONS]
    assert found == [f"{number:04}" for number in range(1, len(found) + 1)]
