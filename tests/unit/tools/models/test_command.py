"""`tandem models` against a service that speaks over HTTP."""

import base64
import json
import sys
import threading

import pytest

from serve_app.tools.cli import main
from serve_app.tools.models import progress
from tests.unit.tools.models.answering import Service, answering

ROWS = [
    {"name": "digits", "version": "1", "state": "READY", "reason": ""},
    {"name": "digits", "version": "2", "state": "READY", "reason": ""},
    {"name": "broken", "version": "", "state": "UNAVAILABLE", "reason": "no folder"},
]


class Models(Service):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict, str]] = []
        self.refuse: tuple[int, dict] | None = None
        self.rows = [ROWS]  # of one look at the index after the other
        self.seen = threading.Event()  # the last of them was

    def answers(self, method, path, body, token):
        if method == "GET":
            count = {"inference_stats": {"success": {"count": 7}}}
            return 200, {"model_stats": [{"version": "2", **count}]}
        if path == "/v2/repository/index":
            if last := len(self.rows) == 1:
                self.seen.set()
            return 200, self.rows[0] if last else self.rows.pop(0)
        if len(self.rows) > 1:  # a load that takes until then
            assert self.seen.wait(20)
        self.asked.append((path, body, token))
        return self.refuse or (200, None)


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("TANDEM_ADMIN_TOKEN", "the-token")
    with answering(Models()) as made:
        yield made


def test_a_table(service, capsys):
    assert main(["models", "list", "--address", service.url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name    version  state        reason",
        "digits  1        READY",
        "digits  2        READY",
        "broken  -        UNAVAILABLE  no folder",
    ]


def test_json(service, capsys):
    assert main(["models", "list", "-a", service.url.removeprefix("http://"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ROWS


def test_the_versions_of_one(service, capsys):
    assert main(["models", "versions", "digits", "-a", service.url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "version  state  requests", "1        READY  0", "2        READY  7",
    ]  # fmt: skip
    assert main(["models", "versions", "nobody", "-a", service.url]) == 1
    assert "nobody" in capsys.readouterr().err


def test_load_and_unload(service, capsys, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"abc")
    (tmp_path / "config.json").write_text('{"concurrency": 2}')
    main([
        "models", "load", "digits", "-a", service.url, "--config", f"@{tmp_path}/config.json",
        "--file", f"1/model.onnx={tmp_path}/m.onnx",
    ])  # fmt: skip
    main(["models", "unload", "digits", "-a", service.url, "--version", "1"])
    main(["models", "unload", "a/b", "-a", service.url])
    assert service.asked == [
        (
            "/v2/repository/models/digits/load",
            {"parameters": {
                "config": '{"concurrency": 2}',
                "file:1/model.onnx": base64.b64encode(b"abc").decode(),
            }},
            "Bearer the-token",
        ),
        ("/v2/repository/models/digits/unload", {"parameters": {"version": "1"}}, "Bearer the-token"),
        ("/v2/repository/models/a%2Fb/unload", {"parameters": {}}, "Bearer the-token"),
    ]  # fmt: skip


def test_what_the_service_refuses_is_said(service, capsys):
    service.refuse = 401, {"error": "the token is wrong"}
    assert main(["models", "load", "digits", "-a", service.url]) == 1
    assert capsys.readouterr().err == "the token is wrong (the variable TANDEM_ADMIN_TOKEN)\n"


def far(said: str) -> list[dict]:
    return [*ROWS, {"name": "digits", "version": "", "state": "LOADING", "reason": said}]


@pytest.fixture
def fetching(service, monkeypatch):
    monkeypatch.setattr(progress, "LOOK_S", 0.01)
    service.rows = [far("fetching 1.2 of 4.0 GB"), far("fetching 2.4 of 4.0 GB"), ROWS]
    return service


def test_how_far_a_load_is(fetching, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_S", 0)
    assert main(["models", "load", "digits", "-a", fetching.url]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "digits: fetching 1.2 of 4.0 GB",
        "digits: fetching 2.4 of 4.0 GB",
    ]
    assert said.out.startswith("name ")  # standard output is for the table


def test_and_on_a_terminal_a_bar(fetching, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["models", "load", "digits", "-a", fetching.url]) == 0
    said = capsys.readouterr().err
    assert "digits" in said
    assert "1.20G/4.00G" in said
    assert "2.40G/4.00G" in said


@pytest.mark.parametrize(
    "more", [["--file", "x"], ["--file", "1/a.onnx=/no/such"], ["--config", "@/no/such"]]
)
def test_what_isnt_there_is_named(service, capsys, more):
    assert main(["models", "load", "digits", "-a", service.url, *more]) == 2
    assert more[0] in capsys.readouterr().err
    assert service.asked == []


def test_nobody_at_the_address(capsys):
    assert main(["models", "list", "-a", "http://127.0.0.1:1"]) == 2
    assert "--address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ([], ".models"),
        (["x"], "x"),
        (["build"], ".models"),
        (["build", "list"], "list"),
        (["./list"], "list"),
    ],
)
def test_the_demo_models_are_built_as_before(monkeypatch, capsys, arguments, folder):
    built = []
    monkeypatch.setattr("serve_app.demo.build.build", lambda path: built.append(str(path)) or True)
    assert main(["models", *arguments]) == 0
    assert built == [folder]
