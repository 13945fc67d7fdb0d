"""Tandem told of a version by its repository API, as the load tests do it."""

import json
import os

import pytest

from loadtests.answers import Refused
from loadtests.client.target import Target
from loadtests.compare import sides
from loadtests.compare.sides import Side, configured
from loadtests.live import LIVE, TOKEN, load, with_admin
from tests.package.answering import answer, serving
from tests.package.tracked import ROOT

CONFIG = ROOT / "configs" / "bench.yaml"


def test_the_config_is_the_others_with_admin_and_there_is_a_token(monkeypatch):
    monkeypatch.setenv(TOKEN, "")
    monkeypatch.delenv(TOKEN)
    config = configured(CONFIG, ["digits"], versions={"digits": "1"})
    made = with_admin(config)
    assert made["applications"][0]["args"].pop("admin") == {}
    if not made["applications"][0]["args"]:
        del made["applications"][0]["args"]
    assert made == config
    assert len(os.environ[TOKEN]) >= 16


def test_a_switch_asks_for_the_version_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(sides, "load", lambda *what: asked.append(what))

    class Server:
        target = Target("tandem", "http://127.0.0.1:1", "127.0.0.1:2")

        def write(self, config):
            """Nothing reads the file again."""

    config = configured(CONFIG, ["digits"], versions={"digits": "2"})
    Side.parse(LIVE, {}).switch(Server(), config, "digits")
    ((target, model, parameters),) = asked
    assert (target, model) == (Server.target, "digits")
    assert json.loads(parameters["config"]) == {"versions": ["2"]}


def test_a_load_has_the_token_and_a_peers_has_none(monkeypatch):
    monkeypatch.setenv(TOKEN, "the-token-of-the-test")
    seen = []

    def answers(handler, body):
        seen.append((handler.path, json.loads(body), handler.headers.get("authorization")))
        answer(handler, b'{"error": "broken"}', 200 if len(seen) < 3 else 400)

    with serving(answers) as where:
        target = Target("tandem", f"http://{where}", where)
        load(target, "m", {"version": "2"})
        load(target, "m", {}, live=False)
        with pytest.raises(Refused, match=r"400 .*broken"):
            load(target, "m", {})
    path = "/v2/repository/models/m/load"
    assert seen[:2] == [
        (path, {"parameters": {"version": "2"}}, "Bearer the-token-of-the-test"),
        (path, {}, None),
    ]
