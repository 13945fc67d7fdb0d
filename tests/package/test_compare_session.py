"""Which servers are up when: those that are kept live through all rounds, others for one visit."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.compare import schedule, session
from loadtests.compare.cases import CASES
from loadtests.compare.options import Options
from loadtests.compare.progress import Steps
from loadtests.compare.results import Results, Run, Start
from loadtests.compare.session import Session
from loadtests.compare.sides import Side
from tests.package.runs import run


class Pretended:
    """A server's life, without a server."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name, self.said, self.alive = name, said, True
        self.target = self
        self.cpu_s = 0.0

    def cpu(self) -> float:
        self.cpu_s += 1
        return self.cpu_s

    def settle(self) -> None: ...

    def end(self) -> None:
        self.said.append(f"end {self.name}")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens: starts and ends, and loads in between."""
    found: list[str] = []

    def measured(load: Any, target: Any, *_: Any) -> Run:
        found.append(f"{load.part} {target.name}")
        return run(load.rate or 100, [0.001] * 10, part=load.part, side=target.name, round=load.round)

    def timed(server: Pretended, cases: Any, answers: Any, number: int) -> Start:
        found.append(f"start {server.name}")
        return Start(server.name, number, 1.0, 1.0)

    monkeypatch.setattr(Side, "server", lambda side, config, models: Pretended(side.name, found))
    monkeypatch.setattr(session, "measure", measured)
    monkeypatch.setattr(session, "timed", timed)
    monkeypatch.setattr(session, "SETTLE_S", 0)
    monkeypatch.setattr(session.Checks, "look", lambda *_: None)
    return found


def compared(folder: Path, **more: Any) -> Results:
    sides = ("one=kserve", "two=kserve")
    options: dict[str, Any] = {
        "parts": ("start", "load"),
        "cases": (CASES["identity/http"],),
        "rounds": 2,
    }
    options |= {"sides": sides, "starts": 2, "steps": 2, "output": folder} | more
    results = Results(["one", "two"], {})
    schedule.everything(Session(Options(**options), results, Steps(1)))
    return results


def lives(said: list[str]) -> str:
    return ", ".join(one for one in said if one.startswith(("start", "end")))


def test_servers_are_started_anew_for_every_round(said: list[str], tmp_path: Path) -> None:
    results = compared(tmp_path)
    one, two = "start one, end one", "start two, end two"
    assert lives(said) == ", ".join([one, two, one, two, two, one])  # the order changes
    assert {run.others_cpu for run in results.runs} == {0}
    assert len(results.starts) == 6


def test_kept_servers_live_through_all_rounds_and_no_longer(said: list[str], tmp_path: Path) -> None:
    """What is timed is a start with nobody beside it: before, and once more afterwards."""
    results = compared(tmp_path, kept=True)
    one, two = "start one, end one", "start two, end two"
    both = "start one, start two, end one, end two"
    assert lives(said) == ", ".join([one, two, both, two, one])
    assert [start.side for start in results.starts] == ["one", "two", "two", "one"]
    assert {start.round for start in results.starts} == {-1, 1}
    loads = [run for run in results.of("load") if run.round]
    assert loads
    assert all(run.others_cpu > 0 for run in loads)


def test_a_version_that_stays_keeps_no_server(said: list[str], tmp_path: Path) -> None:
    options = Options(sides=("one=kserve", "two=kserve"), kept=True, parts=("load", "switch"))
    assert not Session(options, Results([], {}), Steps(1)).kept


def test_a_kept_server_that_dies_is_started_again(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    usual = session.measure

    def fails_once(load: Any, target: Any, *more: Any) -> Run:
        if load.part == "load" and target.name == "one" and not failed:
            failed.append(load.part)
            raise OSError("it went away")
        return usual(load, target, *more)

    monkeypatch.setattr(session, "measure", fails_once)
    results = compared(tmp_path, kept=True, parts=("load",))
    assert lives(said).endswith("start one, end one, start two, start one, end one, end two")
    assert [(event.side, event.round, event.what) for event in results.events] == [
        ("one", 0, "it went away")
    ]
    assert {run.round for run in results.of("load", side="one")} == {1}
