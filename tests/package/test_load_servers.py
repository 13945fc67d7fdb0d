"""When a server of a load test is at rest."""

from typing import Any

import pytest

from loadtests import servers
from loadtests.servers import Server


class Uses(Server):
    """CPU seconds at each look, one after the other, then no more."""

    def __init__(self, *looks: float) -> None:  # no process, and no folder for one
        self.looks, self.looked = list(looks), 0

    def cpu(self) -> float:
        self.looked += 1
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.mark.parametrize(
    ("looks", "looked"),
    [
        ((5.0, 5.1), 2),
        ((5.0, 7.0, 8.5, 8.6), 4),
        ((9.0, 6.0, 6.1), 3),  # a process has ended, which says nothing
    ],
)
def test_it_is_waited_for(looks: Any, looked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(servers.time, "sleep", slept.append)
    server = Uses(*looks)
    server.until_quiet()
    assert server.looked == looked
    assert len(slept) == looked - 1


def test_one_that_is_never_at_rest_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(servers.time, "sleep", sleep)
    monkeypatch.setattr(servers.time, "monotonic", lambda: clock[0])
    server = Uses(*range(0, 1000, 2))
    server.until_quiet()
    assert clock[0] == servers._STARTS_LATE_S
