"""`tandem rollout` against a service that speaks over HTTP."""

import json

import pytest
import yaml

from serve_app.releases.rolling import Rolling, begun, turned
from serve_app.releases.rollout import Counts, Evidence, abort, step
from serve_app.tools.cli import main
from serve_app.tools.models import rollout as module
from tests.unit.tools.models.answering import Service, answering

SAID = {
    "version": "2", "steps": [{"weight": 10, "requests": 10**6}],
    "metrics": [{"kind": "errorRate", "margin": 0.01}],
}  # fmt: skip
BAD = Evidence(Counts(300, 60, {0: 240}), Counts(2000, 4, {0: 1996}))


class Rolled(Service):
    """With a real rollout, which goes on by a look at each question."""

    def __init__(self) -> None:
        super().__init__()
        self.rolling: Rolling = begun("m", SAID, "1", "", None, 0.0, "ann")[0]
        self.evidence = [Evidence()]
        self.said: list[dict] = []
        self.refuse = ""

    def answers(self, method, path, body, token):
        if method == "GET" and self.evidence:
            outcome = step(self.rolling.state, self.evidence.pop(0), len(self.rolling.records))
            self.rolling = turned(self.rolling, outcome)[0]
        elif method == "POST":
            self.said.append(body)
            if body["verb"] == "abort":
                self.rolling = turned(self.rolling, abort(self.rolling.state, 9.0, "bob"))[0]
        return (400, {"error": self.refuse}) if self.refuse else (200, self.rolling.summary)


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(module, "_EACH_S", 0.01)
    with answering(Rolled()) as made:
        yield made


def test_how_it_stands(service, capsys):
    service.evidence = [Evidence(), BAD]
    assert main(["rollout", "m", "-a", service.url]) == 0
    first = capsys.readouterr().out
    assert "m: version 2 beside 1: running, step 1 of 1" in first
    assert "start: from version 1 to 2" in first
    assert main(["rollout", "m", "-a", service.url]) == 0
    told = capsys.readouterr().out
    assert "rolledBack" in told
    assert "2        0 %    300       60" in told
    assert "version 2 failed 60 of 300" in told


def test_it_is_watched_until_it_is_over(service, capsys):
    service.evidence = [Evidence(), Evidence(), BAD]
    assert main(["rollout", "m", "--watch", "-a", service.url]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["start:", "step:", "rollback:"]
    assert sum("rollback:" in line for line in lines) == 1


def test_verbs(service, capsys):
    said = json.dumps(SAID)
    assert main(["rollout", "m", "start", "--config", said, "-a", service.url]) == 0
    assert main(["rollout", "m", "abort", "-a", service.url]) == 0
    assert service.said == [{"verb": "start", "rollout": SAID}, {"verb": "abort"}]
    assert "aborted" in capsys.readouterr().out


def test_json(service, capsys):
    main(["rollout", "m", "--json", "-a", service.url])
    assert json.loads(capsys.readouterr().out)["version"] == "2"


def test_refusals(service, capsys):
    service.refuse = "'m' has no rollout"
    assert main(["rollout", "m", "-a", service.url]) == 1
    assert service.refuse in capsys.readouterr().err
    assert main(["rollout", "m", "abort", "--config", "{}", "-a", service.url]) != 0
    assert main(["rollout", "m", "start", "--config", "{", "-a", service.url]) != 0
    assert "expected JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("to", "more", "kinds"),
    [
        ("argo", [], {"Rollout", "AnalysisTemplate"}), ("flagger", [], {"Canary", "MetricTemplate"}),
        ("kserve", ["--uri", "1=s3://b/1", "--uri", "2=s3://b/2"], {"InferenceService"}),
    ],
)  # fmt: skip
def test_the_same_for_others(service, capsys, to, more, kinds):
    assert main(["rollout", "m", "export", "--to", to, *more, "-a", service.url]) == 0
    told = capsys.readouterr()
    assert {one["kind"] for one in yaml.safe_load_all(told.out)} == kinds
    assert told.err.startswith("note: ")


def test_an_export_that_lacks_something(service, capsys):
    for arguments in (["export"], ["--to", "argo"], ["export", "--to", "kserve"]):
        assert main(["rollout", "m", *arguments, "-a", service.url]) != 0
    assert "where version 2 lies: 2=URI" in capsys.readouterr().err
