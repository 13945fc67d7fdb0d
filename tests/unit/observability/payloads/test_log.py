"""Loggers that can't be had are left out; the others stay, and nothing is left behind."""

import threading

import pytest

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.errors import ConfigError
from serve_app.observability.payloads import sender
from serve_app.observability.payloads.log import PayloadLog
from tests.unit.observability.payloads.sink import until


def payload_threads():
    return [one for one in threading.enumerate() if one.name.startswith("payloads-")]


@pytest.mark.parametrize("error", [ValueError("no"), ConfigError("no"), RuntimeError("no")])
def test_a_logger_that_cannot_be_had(monkeypatch, tmp_path, caplog, error):
    make = sender.sink_for

    def sink_for(config, own):
        if config.name == "bad":
            raise error
        return make(config, own)

    monkeypatch.setattr(sender, "sink_for", sink_for)
    log = PayloadLog("own")
    named = [("one", tmp_path), ("bad", tmp_path), ("two", tmp_path)]
    loggers = [parse(PayloadLogger, {"name": name, "url": f"file://{at}"}) for name, at in named]
    for _ in range(3):
        log.configure(loggers)
    assert [one.name for one in log.senders] == ["one", "two"]
    assert len(payload_threads()) == 2
    assert "payloads 'bad' are not logged: no" in caplog.text
    log.close(5)
    assert payload_threads() == []


def test_too_few_threads(monkeypatch):
    start = threading.Thread.start

    def starting(thread):
        if len(payload_threads()) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    log = PayloadLog("own")
    log.configure([parse(PayloadLogger, {"url": "http://127.0.0.1:1/"})])
    assert log.senders == []
    until(lambda: payload_threads() == [])
