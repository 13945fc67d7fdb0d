"""A comparison's report: what is written, and how browsers of all sizes show it."""

import math
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from markdown_it import MarkdownIt

from loadtests.compare.report.document import Mark, Plot, Report, Section, Series, Table, Verdict
from loadtests.compare.report.html import html
from loadtests.compare.report.markdown import markdown
from loadtests.compare.report.plots import svg

EVIL = "<script>alert(1)</script>"
SIDES = ["tandem", EVIL, "_a | server & <b>its</b> $name$ `in` many *more* words than have place 中\x00"]
RATES = [52.1, 97.6, 183.0, 343.0, 1024.0]


def curves(title: str, **more: Any) -> Plot:
    latencies = [[4.0, 5, 7, 19, 210], [6.0, 7, 11, 40, math.inf], [5.0, 5, math.nan, 60, 80]]
    series = [
        Series(side, place, RATES, y, [v * 0.8 for v in y], [v * 1.3 for v in y], hollow=[3])
        for place, (side, y) in enumerate(zip(SIDES, latencies, strict=True))
    ]
    marks = [Mark("SLO 50 ms", 50)]
    return Plot(
        title, "requests per second", "p99, ms", series, marks=marks, note="Hollow: late.", **more
    )


def sample() -> Report:
    moments = [Mark("asked", 4, "x"), Mark("taken by tandem", 4.3, "x"), Mark("taken by it", 7.9, "x")]
    seconds = [step / 4 for step in range(56)]
    waves = [
        Series(side, place, seconds, [20 + place + math.sin(x) for x in seconds], dashed=place > 0)
        for place, side in enumerate(SIDES)
    ]
    bars = [Series(side, place, [0, 1, 2], [3.0, 2, 1 + place]) for place, side in enumerate(SIDES)]
    ticks = ["all models", "one", "many, many models"]
    wide = [f"a rather long heading {number}" for number in range(9)]
    better = Verdict("Which one starts first?", "tandem, by 2 s.", "better", "ratio 0.7 (0.6 to 0.8)")
    others: list[Verdict] = [
        Verdict("Who is within the SLO?", f"{EVIL} is.", "worse", "5 rounds"),
        Verdict("Is the median lower?", "No difference was shown.", "same"),
        Verdict("And over gRPC?", "Too few rounds.", "unknown"),
    ]
    load = [curves("Latency", log_x=True, log_y=True), curves("The same, from zero")]
    return Report(
        "tandem and others",
        SIDES,
        "On one machine",
        [f"A side said: {EVIL} | more\nand more"],
        [
            Section(
                "Starts", "From zero.", [better], [Plot("Start", "", "s", bars, "bars", ticks=ticks)]
            ),
            Section(
                "Load", "Open.\n\nAs ever.", others, load, [Table(wide, [["1.5 ms"] * 9] * 2, "All")]
            ),
            Section("Switch", "# 1. It is", plots=[Plot("Waits", "s", "ms", waves, marks=moments)]),
        ],
        [["It costs memory", "9 MiB | 24 MiB", "make compare | tee `log`"]],
        [Table(["side", "memory"], [[SIDES[2], "612 MiB"], [EVIL, "-"], ["short"]], "Memory")],
        ["Nodes: one | machine"],
        [("Again", "echo ```; curl http://localhost:8000 " + "-v " * 99)],
    )


class Page(HTMLParser):
    """What an HTML parser makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(" ".join(data.split()))

    def values(self, *keys: str) -> list[str]:
        return [attrs[key] for _, attrs in self.tags for key in keys if key in attrs]


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
    for text in ("It costs memory", "9 MiB | 24 MiB", "612 MiB", "Nodes: one | machine", EVIL):
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
    assert tags.count("td") == 4 * 4 + 2 * 9 + 3 + 3 * 2


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


CHROMIUM = os.environ.get("TANDEM_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DESKTOP, PHONE, SMALL = (1280, 900), (390, 844), (360, 740)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium: TANDEM_CHROMIUM says where one is")
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        with started.chromium.launch(executable_path=CHROMIUM, args=arguments) as opened:
            yield opened


@pytest.fixture(scope="module", params=[DESKTOP, PHONE, SMALL], ids=["desktop", "phone", "small"])
def tab(
    request: pytest.FixtureRequest, browser: Any, written: str, tmp_path_factory: Any
) -> Iterator[Any]:
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(written, encoding="utf-8")
    width, height = request.param
    opened = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda asked: opened.asked.append(asked.url))
    opened.goto(file.as_uri())
    yield opened
    opened.close()


BOXES = "nodes => nodes.map(node => node.getBoundingClientRect().toJSON())"


def test_it_opens_from_disk_without_a_complaint(tab: Any) -> None:
    assert [url for url in tab.asked if not url.startswith("data:")] == [tab.url]
    assert tab.url.startswith("file://")
    assert tab.said == []


def test_it_never_scrolls_sideways(tab: Any) -> None:
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for box in tab.eval_on_selector_all("h1, h2, h3, figure, .verdict, .scroll, pre, .stacked", BOXES):
        assert box["left"] >= 0
        assert box["right"] <= tab.viewport_size["width"]
        assert box["height"] > 0
    scrolls = "nodes => nodes.map(node => node.scrollWidth > node.clientWidth)"
    assert tab.eval_on_selector_all("#part-2 .scroll, pre", scrolls) == [True, True]


def test_plots_are_legible(tab: Any) -> None:
    width = tab.viewport_size["width"]
    boxes = tab.eval_on_selector_all("svg", BOXES)
    assert len(boxes) == 4
    for box in boxes:
        assert min(280, width) < box["width"] < 600
        assert 0.6 < box["height"] / box["width"] < 1.2
    sizes = """nodes => nodes.map(node => {
        const matrix = node.getScreenCTM();
        return parseFloat(getComputedStyle(node).fontSize) * Math.hypot(matrix.a, matrix.b);
    })"""
    assert min(tab.eval_on_selector_all("svg text", sizes)) > 8.5


def test_words_in_a_plot_stay_inside_and_apart(tab: Any) -> None:
    for drawn in tab.query_selector_all("svg"):
        frame = drawn.evaluate("node => node.getBoundingClientRect().toJSON()")
        boxes = drawn.eval_on_selector_all("text", BOXES)
        for at, one in enumerate(boxes):
            assert one["left"] >= frame["left"] - 1
            assert one["right"] <= frame["right"] + 1
            for other in boxes[:at]:
                across = min(one["right"], other["right"]) - max(one["left"], other["left"])
                down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
                assert across < 1 or down < one["height"] / 3, (one, other)


def test_plots_stand_beside_each_other_where_there_is_room(tab: Any) -> None:
    first, second = tab.eval_on_selector_all("#part-2 figure", BOXES)
    if tab.viewport_size["width"] > 1000:
        assert first["top"] == second["top"]
        assert first["right"] < second["left"]
    else:
        assert first["left"] == second["left"]
        assert first["bottom"] < second["top"]


def test_the_contents_lead_to_the_sections(tab: Any) -> None:
    links = tab.query_selector_all("nav a")
    assert len(links) == 3 + 4
    for link in links:
        link.click()
        heading = tab.query_selector(f"{link.get_attribute('href')} h2")
        box = heading.evaluate("node => node.getBoundingClientRect().toJSON()")
        assert heading.inner_text() == link.inner_text()
        assert 0 <= box["top"] < tab.viewport_size["height"]


def test_plots_stay_on_light_ground_in_the_dark(tab: Any) -> None:
    ground = "node => getComputedStyle(node).backgroundColor"
    tab.emulate_media(color_scheme="dark")
    try:
        assert tab.eval_on_selector("figure", ground) == "rgb(255, 255, 255)"
        assert tab.eval_on_selector("body", ground) != "rgb(255, 255, 255)"
    finally:
        tab.emulate_media(color_scheme="light")
