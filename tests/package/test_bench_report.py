"""The benchmark's figures, from samples."""

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtests.bench import __main__ as bench
from loadtests.bench import report
from loadtests.bench.generators import Sample
from loadtests.bench.points import BARE, chosen
from loadtests.bench.report import Ratio
from loadtests.bench.session import Results, Session


def test_ratio() -> None:
    ratio = Ratio([2, 12, 9], [1, 4, 9])
    assert (ratio.median, ratio.least, ratio.most) == (2, 1, 3)
    assert str(ratio) == "2.00x (1.00-3.00)"
    assert str(Ratio([1, 4], [2, 2, 9])) == "1.25x (0.50-2.00)"  # only rounds that both had


def results(*keys: str, **figures: list[tuple[float, float]]) -> Results:
    """Samples of (rate, p50 in seconds) by server, the same at each point."""
    found = Results([point for point in chosen("all") if point.key in keys])
    for point in found.points:
        for server, rounds in figures.items():
            for rate, p50 in rounds:
                sample = Sample(rate, p50, 2 * p50, 0, "wrk", 0.5, server_cpu=1.5, memory=2**20)
                found.add(point, server.replace("_", "-"), sample)
    return found


REMOTE = "echo-remote: 1 connections"
RATE, LATENCY = "echo-http: 32 connections", "echo-http: 1 connections"


def row(found: Results, key: str) -> list[str]:
    (line,) = [line for line in report.ratios(found).splitlines() if line.startswith(f"| {key} ")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_better_peer_is_the_better_one_by_the_points_figure() -> None:
    """Here the tuned peers have more requests per second, and longer latencies."""
    found = results(
        RATE, LATENCY,
        tandem=[(1000, 0.002), (900, 0.002)],
        kserve=[(100, 0.001), (100, 0.002)], kserve_tuned=[(200, 0.004), (180, 0.004)],
        mlserver_tuned=[(500, 0.004), (450, 0.004)],
    )  # fmt: skip
    assert row(found, RATE) == [
        "per second", "950", "5.00x (5.00-5.00) kserve-tuned", "2.00x (2.00-2.00) mlserver-tuned",
        "", ">= 5.0x, >= 0.3x of the limit",
    ]  # fmt: skip
    assert row(found, LATENCY) == [
        "p50, ms", "2.00", "1.50x (1.00-2.00) kserve", "0.50x (0.50-0.50) mlserver-tuned",
        "", "<= 0.75x",
    ]  # fmt: skip


def test_an_aim_against_mlserver_alone() -> None:
    found = results(REMOTE, tandem=[(80, 0.002)], mlserver=[(100, 0.001)])
    assert row(found, REMOTE)[2:] == ["", "0.80x (0.80-0.80) mlserver", "", ">= 0.9x of MLServer's"]


def test_the_limit() -> None:
    found = results(
        RATE, "digits: 32 connections", "sentences: 32 connections", "mixed: 32 connections",
        tandem=[(90, 0.1), (100, 0.1)],
    )  # fmt: skip
    callers = {"32 callers": 999}  # no batch size, so not the limit
    found.limits = {
        "sentences": [
            {"1": 50, "32": 180, "64": 90, **callers},
            {"1": 60, "32": 125, "64": 130, **callers},
        ]
    }
    assert row(found, "sentences: 32 connections")[4] == "0.65x (0.50-0.80)"
    assert row(found, "digits: 32 connections")[4] == ""
    assert row(found, "mixed: 32 connections")[4] == ""
    assert row(found, RATE)[4] == ""
    for rate in (300, 200):
        sample = Sample(rate, 0.1, 0.1, 0, "wrk", 0.5)
        found.add(next(point for point in found.points if point.key == RATE), BARE, sample)
    assert row(found, RATE)[4] == "0.40x (0.30-0.50)"


def test_points_without_our_figures_have_no_row() -> None:
    assert RATE not in report.ratios(results(RATE, kserve=[(1, 1)]))


def test_refusals_and_all_figures_are_shown(tmp_path: Any) -> None:
    found = results(RATE, tandem=[(1000, 0.002), (900, 0.003)])
    found.refused = {RATE: {"mlserver": "  415 no binary data"}}
    found.limits = {"digits": [{"1": 10.0, "8": 20.0}]}
    text = report.details(found)
    assert "950.0/s (900-1000)  p50 2.50  p99 5.00 ms  CPU 1.50  1 MiB  wrk 0.50" in text
    assert "  mlserver       can't: 415 no binary data" in text
    assert "digits in process, rows/s by batch size: 1: 10, 8: 20" in text
    found.save(tmp_path / "made" / "bench.json", {"cores": 2})
    saved = orjson.loads((tmp_path / "made" / "bench.json").read_bytes())
    assert saved["about"] == {"cores": 2}
    assert [sample["rate"] for sample in saved["samples"][RATE]["tandem"]] == [1000, 900]
    assert saved["refused"] == found.refused


def test_what_was_measured_is_shown_where_a_server_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def round(session: Session, servers: list[str]) -> None:
        session.results.add(session.results.points[0], "tandem", Sample(42.0, 0.1, 0.2, 0, "wrk", 0.5))
        raise RuntimeError("tandem, echo-http: 8 connections: 3 requests failed")

    monkeypatch.setattr(Session, "round", round)
    monkeypatch.setattr(
        sys, "argv", ["bench", "--rounds", "2", "--output", str(tmp_path / "bench.json")]
    )
    with pytest.raises(SystemExit, match="3 requests failed"):
        bench.main()
    assert "42.0/s" in capsys.readouterr().out
