"""`tandem shadow` against a service that speaks over HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from serve_app.routing.comparing import Compared, Difference, failures
from serve_app.routing.tally import Pair, summed
from serve_app.routing.texts import Texts
from serve_app.tools.cli import main
from tests.unit.tools.models.answering import Service, answering

CONFIG = {"version": "2", "percent": 10.0, "examples": 1}


def said(*found: Compared, **more: Any) -> dict[str, Any]:
    """As the Steward gives it."""
    pair = Pair("1", "2")
    for one in found:
        pair.count(one, (0.002, 0.02))
    example = {
        "time": 1.0, "id": "7", "primary": "1", "shadow": "2", "inputs": [{"name": "x"}],
        "differences": [{"output": "y", "kind": "value", "text": "1 of 2", "values": "0 and 1"}],
        "answer": [{"name": "y"}], "copy": "ModelFailed",
    }  # fmt: skip
    if any(one.differences for one in found):
        pair.examples.append(example)
    pairs = [pair.plain] if found else []
    router = {"copied": 9, "waiting": 1, "dropped": {"queue": 4}, "pairs": pairs}
    return {"model": "m", "config": CONFIG, "routers": 2, **summed([router], 1), "refused": "", **more}


class Shadowing(Service):
    def __init__(self) -> None:
        super().__init__()
        self.answer: tuple[int, dict[str, Any]] = 200, {}
        self.asked: tuple[str, str] = "", ""

    def answers(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        self.asked = path, token
        return self.answer


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("TANDEM_ADMIN_TOKEN", "the-token")
    with answering(Shadowing()) as made:
        monkeypatch.setenv("TANDEM_ADDRESS", made.url)
        yield made


def test_a_table(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    differs = Compared((Difference("y", "value", "1 of 2", 0.25),), Texts(1, 4, 3, 4))
    service.answer = 200, said(Compared(), differs, failures("", "ModelFailed"), Compared())
    assert main(["shadow", "m"]) == 0
    assert service.asked == ("/v2/repository/models/m/shadow", "Bearer the-token")
    assert capsys.readouterr().out.splitlines() == [
        "version 2 of 'm' gets copies of 10 % of the requests; 2 Routers",
        "",
        "answers  copies  compared  differ  share  95% (Wilson)",
        "1        2       4         2       50 %   15 % to 85 %",
        "1 and 2: output y differs in 1, by 0.25 at most",
        "1 and 2: errors, the copy alone: 1",
        "1 and 2: 1 texts agree in 25 % of their tokens; 3 tokens answered, 4 in copies",
        "1 and 2: 2 ms an answer, 20 ms a copy, on average",
        "",
        "not compared: queue 4; 1 wait",
        "",
        "request 7, 1 and 2:",
        "  y: 1 of 2 (0 and 1)",
        '  inputs: [{"name": "x"}]',
        '  answer: [{"name": "y"}]',
        "  copy: ModelFailed",
    ]


def test_json(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = 200, said(Compared())
    assert main(["shadow", "m", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == service.answer[1]


def test_nothing_yet(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = 200, said(refused="routing.m.shadow.version: model 'm' has no version 2")
    assert main(["shadow", "m"]) == 0
    assert "refused: routing.m.shadow.version" in capsys.readouterr().out


def test_none_at_all(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = 200, {**said(), "config": None}
    assert main(["shadow", "m"]) == 1
    assert capsys.readouterr().out == "model 'm' has no shadow (routing.m.shadow)\n"


def test_what_the_service_refuses(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = 401, {"error": "the token is wrong"}
    assert main(["shadow", "m"]) == 1
    assert capsys.readouterr().err == "the token is wrong (the variable TANDEM_ADMIN_TOKEN)\n"
