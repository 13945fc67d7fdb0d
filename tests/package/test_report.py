"""A comparison's report: what is written, in both formats, and its plots."""

import math
import re
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from markdown_it import MarkdownIt

from loadtests.compare.report.document import Mark, Plot, Report, Section, Series, Table, Verdict
from loadtests.compare.report.drawing import COLOURS, NAMES
from loadtests.compare.report.html import html
from loadtests.compare.report.markdown import markdown
from loadtests.compare.report.plots import svg
from loadtests.compare.report.templates import FOLDER
from tests.package.reports import EVIL, SIDES, Page, curves, sample


@pytest.fixture(scope="module")
def written() -> str:
    return html(sample())


@pytest.fixture(scope="module")
def page(written: str) -> Page:
    return Page(written)


def test_names_and_errors_are_text(page: Page) -> None:
    assert "script" not in {tag for tag, _ in page.tags}
    assert EVIL in page.texts
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)


def test_several_peers_are_columns_of_one_table() -> None:
    report = sample()
    report.sections[0].verdicts = [
        Verdict("First?", "tandem is.", "better", "5 rounds", SIDES[1], "1 s against 2 s"),
        Verdict("First?", "It is.", "worse", "5 rounds", SIDES[2], "1 s against 0.5 s"),
        Verdict("Last?", "No difference.", "same", "", SIDES[2]),
    ]
    page = Page(html(report))
    rows = html(report).partition('<table class="stacked matrix">')[2].partition("</table>")[0]
    assert rows.count("<tr>") == 1 + 2 + 3  # the others' questions stand alone
    for words in ("1 s against 2 s", "1 s against 0.5 s", "No difference.", f"First, against {EVIL}?"):
        assert words in page.texts
    assert page.values("data-name").count(f"against {EVIL}") == 1
    assert f"First, against {EVIL.replace('<', '&lt;')[:7]}" in markdown(report)


def test_a_page_needs_no_network(written: str, page: Page) -> None:
    references = page.values("href", "src", "srcset", "action", "data", "poster", "xlink:href")
    assert [one for one in references if not one.startswith("#")] == ["data:,"]  # no icon is asked for
    assert set(re.findall(r"url\((.)", written)) == {"#"}
    assert "@import" not in written
    (policy,) = page.values("content")[:1]
    assert policy.startswith("default-src 'none'; ")


def test_ids_are_unique_and_references_lead_to_them(written: str, page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = re.findall(r"url\(#([^)]+)\)", written) + [one[1:] for one in page.values("href")]
    assert {link for link in links if link != "ata:,"} <= set(ids)
    assert sum(id.startswith("plot-4-") for id in ids) > 1


def test_both_formats_hold_everything(page: Page) -> None:
    rendered = Page(MarkdownIt("commonmark").enable("table").render(markdown(sample())))
    shown, plain = " ".join(page.texts), " ".join(rendered.texts)
    for section in sample().sections:
        tables = [
            cell for table in section.tables for cell in [table.title, *table.head, *table.rows[0]]
        ]
        plots = [text for plot in section.plots for text in (plot.title, plot.note)]
        answers = [text for one in section.verdicts for text in (one.question, one.answer, one.evidence)]
        for text in [section.title, *section.intro.split("\n\n"), *tables, *plots, *answers]:
            assert text in shown
            assert text in plain
    for text in (
        "It costs memory",
        "cost",
        "Somebody claims it.",
        "9 MiB | 24 MiB",
        "612 MiB",
        "Nodes: one | machine",
        EVIL,
    ):
        assert text in shown
        assert text in plain
    for word in ("better", "worse", "no difference shown", "not shown"):
        assert word in shown
        assert word in plain
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 4


def test_markdown_keeps_text_text_and_rows_whole() -> None:
    text = markdown(sample())
    rendered = Page(MarkdownIt("commonmark").enable("table").render(text))
    tags = [tag for tag, _ in rendered.tags]
    assert not {"script", "b", "a", "img"} & set(tags)
    assert "_a | server & <b>its</b> $name$ `in` many *more* words" in " ".join(rendered.texts)
    assert "make compare | tee `log`" in rendered.texts
    assert sample().commands[0][1].strip() in rendered.texts
    assert "<" not in re.sub(r"```.*?```", "", text, flags=re.S)
    assert tags.count("table") == 4
    assert tags.count("td") == 4 * 4 + 2 * 9 + 4 + 3 * 2


def test_a_report_begins_with_what_to_choose_and_what_is_absent(written: str) -> None:
    words = ["Choose tandem", "Not settled", "Nodes: one", "A side said", "Which one starts first"]
    for text in (written, markdown(sample())):
        places = [text.index(word) for word in words]
        assert places == sorted(places)


def luminance(colour: str) -> float:
    """Of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_plots_have_contrast_in_the_light_and_in_the_dark(dark: bool) -> None:
    """WCAG 2.2 asks 3:1 of graphics (1.4.11) and 4.5:1 of text (1.4.3)."""
    drawn = svg(curves("Latency", log_x=True, log_y=True)) + "".join(f"#{c[1:]}" for c in COLOURS)
    colours = {name: colour for colour, name in NAMES.items()}
    assert not set(re.findall(r"(?<![,(] )#[0-9a-f]{6}", drawn)) - set(COLOURS)  # each has its name
    if dark:
        block = re.findall(r"prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", css(), re.S)
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", " ".join(block)))
    ground = luminance(colours["paper"])

    def contrast(name: str) -> float:
        bright, dim = sorted((luminance(colours[name]), ground), reverse=True)
        return (bright + 0.05) / (dim + 0.05)

    assert min(contrast(f"side-{place}") for place in range(1, len(COLOURS) + 1)) >= 3
    assert min(contrast("plot-ink"), contrast("plot-grey")) >= 4.5


def css() -> str:
    return (FOLDER / "page.css").read_text()


def test_numbers_stand_at_the_right(page: Page) -> None:
    numbers = [attrs for tag, attrs in page.tags if tag == "td" and attrs.get("class") == "number"]
    assert len(numbers) == 2 * 9 + 3  # a short row is filled up


def test_a_table_without_rows_has_its_head() -> None:
    report = Report("None", [], sections=[Section("Empty", "", tables=[Table(["a", "b"], [])])])
    page = Page(html(report))
    assert [tag for tag, _ in page.tags if tag in ("th", "td")] == ["th", "th"]
    assert "| a | b |\n| --- | --- |\n" in markdown(report)


def texts(drawn: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(drawn).iter("text")]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("kind", ["lines", "bars"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.0, -1.0, 5e300])
def test_a_value_without_a_place_is_left_out(kind: Any, log: bool, value: float) -> None:
    series = [
        Series("one", 0, [0, 1, 2], [1, value, 3], [0.5, value, value], [2, value, math.inf]),
        Series("other", 1, [0, value, 2], [value, value, value], hollow=[0, 1, 9]),
    ]
    marks = [Mark("there", value), Mark("then", value, "x")]
    plot = Plot("Odd", "x", "y", series, kind, log_x=log and kind == "lines", log_y=log, marks=marks)
    assert ("infinite" in texts(svg(plot))) == (value > 1)
    assert "nan" not in svg(plot).lower()
    nothing = Plot("None", "x", "y", [Series("one", 0, [1], [math.nan])], kind, log_x=log, log_y=log)
    assert "no values to show" in texts(svg(nothing))
    assert "no values to show" in texts(svg(Plot("Empty", "x", "y", [], kind)))


def test_a_plot_is_the_same_whenever_and_wherever_it_is_drawn(written: str) -> None:
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "lines.linewidth": 9}):
        assert html(sample()) == written


def test_a_plot_takes_its_width_from_the_page_and_says_what_it_is() -> None:
    root = ElementTree.fromstring(svg(curves("Latency", log_x=True, log_y=True)))
    assert {"width", "height"}.isdisjoint(root.attrib)
    assert (root.get("role"), root.get("viewBox", "")[:4]) == ("img", "0 0 ")
    assert root.get("aria-label", "").startswith("Latency: p99, ms, requests per second, tandem, ")


def test_axes_show_plain_numbers_and_names_as_they_are() -> None:
    shown = texts(svg(curves("Latency", log_x=True, log_y=True)))
    assert {"100", "1,000", "SLO 50 ms", EVIL, "tandem"} <= set(shown)
    assert any(text.startswith("_a | server & <b>its</b> $name$") for text in shown)
