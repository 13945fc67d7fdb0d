"""Payload loggers are there while a configuration has some, and nothing of them otherwise."""

import pytest

from serve_app.config import Limits, RouterUserConfig, parse
from serve_app.deployments import payloads
from serve_app.deployments.payloads import Payloads
from serve_app.ingress.rest import RestApp
from tests.unit.observability.payloads.test_waiting import record
from tests.unit.planes import plane


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(payloads, "PayloadMetrics", lambda log: None)
    rest = RestApp(plane(), Limits)
    return rest, Payloads(rest, "own")


def config(*loggers):
    return parse(RouterUserConfig, {"payloads": list(loggers)})


def test_while_there_are_some(made):
    rest, found = made
    assert found.configure(config()) == ()
    assert "answer" not in vars(rest)
    (log,) = found.configure(config({"url": "http://127.0.0.1:1/"}))
    assert "answer" in vars(rest)
    (sender,) = log.senders
    assert found.configure(config({"url": "http://127.0.0.1:1/"})) == (log,)
    assert list(log.senders) == [sender]
    assert found.configure(config()) == ()
    assert "answer" not in vars(rest)
    for thread in sender.threads:
        thread.join(20)
    assert not sender.alive


def test_a_sink_that_cannot_be_had_harms_nobody(made, monkeypatch, caplog):
    _, found = made
    monkeypatch.setitem(__import__("sys").modules, "confluent_kafka", None)
    loggers = {"url": "kafka://a:9092/t"}, {"url": "http://127.0.0.1:1/"}
    (log,) = found.configure(config(*loggers))
    assert len(log.senders) == 1
    assert "payloads '0' are not logged: payloads to Kafka need confluent-kafka" in caplog.text
    assert "pip install 'tandem-serve[kafka]'" in caplog.text
    found.configure(config())


def test_a_router_that_ends_sends_what_waits(made, tmp_path):
    _, found = made
    (log,) = found.configure(config({"url": f"file://{tmp_path}/log"}))
    (sender,) = log.senders
    sender.waiting.offer(record())  # it would wait a minute for company
    found.close()
    assert sender.waiting.counts() == {"sent": 1}
    assert not sender.alive
