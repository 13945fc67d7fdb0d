"""How browsers of all sizes show a comparison's report."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.compare.report.html import html
from tests.package.reports import sample

CHROMIUM = os.environ.get("TANDEM_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DESKTOP, PHONE, SMALL = (1280, 900), (390, 844), (360, 740)


@pytest.fixture(scope="module")
def written() -> str:
    return html(sample())


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
    assert len(links) == 3 + 3
    for link in links:
        link.click()
        heading = tab.query_selector(f"{link.get_attribute('href')} h2")
        box = heading.evaluate("node => node.getBoundingClientRect().toJSON()")
        assert heading.inner_text() == link.inner_text()
        assert 0 <= box["top"] < tab.viewport_size["height"]


def test_plots_are_readable_in_the_dark_and_on_paper(tab: Any) -> None:
    ground = "node => getComputedStyle(node).backgroundColor"
    word = "node => getComputedStyle(node).fill"
    line = "nodes => nodes.map(node => getComputedStyle(node).stroke)"

    def shown() -> tuple[str, str, str]:
        strokes = tab.eval_on_selector_all("#part-2 svg path", line)
        (first,) = {one for one in strokes if one in ("rgb(11, 110, 153)", "rgb(79, 179, 232)")}
        return tab.eval_on_selector("figure", ground), tab.eval_on_selector("svg text", word), first

    light = shown()
    assert light == ("rgb(255, 255, 255)", "rgb(38, 48, 61)", "rgb(11, 110, 153)")
    tab.emulate_media(color_scheme="dark")
    try:
        assert shown() == ("rgb(29, 35, 41)", "rgb(228, 231, 234)", "rgb(79, 179, 232)")
        tab.emulate_media(media="print")
        assert shown() == light
    finally:
        tab.emulate_media(color_scheme="light", media="screen")
