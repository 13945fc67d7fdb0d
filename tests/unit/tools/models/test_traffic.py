"""`tandem traffic` against a service that speaks over HTTP."""

import json

import pytest
import yaml

from serve_app.config import RouterUserConfig, parse
from serve_app.tools.cli import main
from tests.unit.tools.models.answering import Service, answering

STICKY = [{"header": "x-user"}]
MATCH = [{"header": "x-tester", "version": "2"}]


class Shares(Service):
    def __init__(self) -> None:
        super().__init__()
        self.said: dict | None = {"weights": {"1": 95.0, "2": 5.0}, "match": MATCH, "sticky": STICKY}
        self.source, self.ready = "configuration", "12"
        self.asked: list[tuple[str, str, str]] = []
        self.refuse = ""

    def answers(self, method, path, body, token):
        self.asked.append((method, path, token))
        if method != "GET":
            self.said, self.source = body, "live" if method == "POST" else "configuration"
        if self.refuse:
            return 400, {"error": self.refuse}
        weights = (self.said or {}).get("weights", {})
        whole = sum(weight for one, weight in weights.items() if one in self.ready) or 1
        rows = [
            {
                "version": one,
                "weight": weight,
                "share": weight * 100 / whole if one in self.ready else 0,
                "state": "READY" if one in self.ready else "UNAVAILABLE",
                "requests": 7,
                "failed": 0,
            }
            for one, weight in weights.items()
        ]
        return 200, {"name": "m", "traffic": self.said, "versions": rows, "source": self.source}


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("TANDEM_ADMIN_TOKEN", "the-token")
    with answering(Shares()) as made:
        yield made


def test_a_table(service, capsys):
    assert main(["traffic", "m", "-a", service.url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "version  weight  state  requests  failed",
        "1        95 %    READY  7         0",
        "2        5 %     READY  7         0",
        "match   header x-tester, version 2",
        "sticky  header x-user",
    ]
    assert service.asked == [("GET", "/v2/repository/models/m/traffic", "Bearer the-token")]


def test_shares_that_differ_from_the_weights_are_told(service, capsys):
    service.ready = "1"
    main(["traffic", "m", "-a", service.url])
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "1        95 %    100 %  READY        7         0",
        "2        5 %     0 %    UNAVAILABLE  7         0",
    ]


def test_weights_are_set_and_the_rest_stays(service, capsys):
    assert main(["traffic", "m", "1=90", "2=10%", "-a", service.url]) == 0
    assert service.said == {"weights": {"1": 90.0, "2": 10.0}, "match": MATCH, "sticky": STICKY}
    assert "--write prints the block" in capsys.readouterr().out


def test_the_whole_of_it(service, tmp_path):
    said = {"weights": {"1": 50, "2": 50}}
    assert main(["traffic", "m", "--config", json.dumps(said), "-a", service.url]) == 0
    assert service.said == said
    (tmp_path / "t.json").write_text(json.dumps({"weights": {"2": 100}}))
    assert main(["traffic", "m", "--config", f"@{tmp_path}/t.json", "-a", service.url]) == 0
    assert service.said == {"weights": {"2": 100}}


def test_what_is_written_is_a_configuration(service, capsys):
    assert main(["traffic", "m", "--write", "-a", service.url]) == 0
    text = capsys.readouterr().out
    assert "'1': 95\n" in text
    found = yaml.safe_load(text)
    traffic = parse(RouterUserConfig, found).routing["m"].traffic
    assert traffic is not None
    assert (traffic.weights, traffic.sticky[0].header) == ({"1": 95, "2": 5}, "x-user")


def test_given_back(service, capsys):
    assert main(["traffic", "m", "--clear", "--write", "-a", service.url]) == 0
    assert (service.said, yaml.safe_load(capsys.readouterr().out)) == (None, None)


def test_json(service, capsys):
    main(["traffic", "m", "--json", "-a", service.url])
    assert json.loads(capsys.readouterr().out)["versions"][0]["weight"] == 95


def test_a_refusal(service, capsys):
    service.refuse = "traffic.weights.7: no version 7 is loaded"
    assert main(["traffic", "m", "1=90", "7=10", "-a", service.url]) == 1
    assert service.refuse in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["2"], "'2': expected VERSION=PERCENT"), (["2=many"], "expected VERSION=PERCENT"),
        (["1=100", "--clear"], "one of VERSION=PERCENT, --config and --clear"),
        (["--config", "{"], "--config: expected JSON"), (["--config", "@/no/such"], "--config"),
    ],
)  # fmt: skip
def test_a_wrong_command(service, capsys, arguments, text):
    assert main(["traffic", "m", *arguments, "-a", service.url]) != 0
    assert text in capsys.readouterr().err
