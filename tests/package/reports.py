"""A report with everything in it that a report may hold, and what a parser makes of its page."""

import math
from html.parser import HTMLParser
from typing import Any

from loadtests.compare.report.document import Mark, Plot, Report, Section, Series, Table, Verdict

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
        [["It costs memory", "cost", "9 MiB | 24 MiB", "make compare | tee `log`"]],
        [Table(["side", "memory"], [[SIDES[2], "612 MiB"], [EVIL, "-"], ["short"]], "Memory")],
        ["Nodes: one | machine"],
        [("Again", "echo ```; curl http://localhost:8000 " + "-v " * 99)],
        [f"Choose tandem for speed, {EVIL} for * memory.", "Not settled: a | b."],
        "Somebody claims it.",
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
