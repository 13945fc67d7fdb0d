"""What a start waits for in the end: Serve's proxies, and Ray's dashboard."""

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.run import serving


class Late:
    """A dashboard that fails when it is looked at that often."""

    def __init__(self, fails: int = 0) -> None:
        self.looks, self.fails = 0, fails

    def look(self) -> None:
        self.looks += 1
        if self.looks == self.fails:
            raise ConfigError("Ray's dashboard can't start: no port")

    def address(self) -> str:
        return "127.0.0.1:8265"


def test_both_are_waited_for() -> None:
    late, answers = Late(), [False, False, True]
    assert serving._ready(lambda seconds: answers.pop(0), late) == "http://127.0.0.1:8265"
    assert late.looks == 2


def test_a_dashboard_that_cant_start_is_told_while_proxies_start() -> None:
    with pytest.raises(ConfigError, match="dashboard can't start: no port"):
        serving._ready(lambda seconds: False, Late(fails=3))


def test_proxies_that_never_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_PROXIES_S", -1)
    with pytest.raises(ConfigError, match="Serve's proxies aren't there after -1 s"):
        serving._ready(lambda seconds: False, Late())
