"""A topic of librdkafka's own mock cluster, over TCP."""

import pytest

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads.sender import Sender
from tests.unit.observability.payloads.test_sender import BODY, ended, record

kafka = pytest.importorskip("confluent_kafka")


def test_events_on_a_topic():
    cluster = kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 2})
    (broker,) = cluster.list_topics(timeout=20).brokers.values()
    address = f"{broker.host}:{broker.port}"
    one = Sender("a", parse(PayloadLogger, {"url": f"kafka://{address}/events"}), "own")
    one.waiting.offer(record(id="1"))
    one.waiting.offer(record("response", id="2", body=b"{}"))
    assert ended(one) == {"sent": 2}
    settings = {"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"}
    consumer = kafka.Consumer(settings | {"log_level": 2})
    consumer.subscribe(["events"])
    try:
        got = []
        for _ in range(200):
            if (message := consumer.poll(0.1)) is not None and not message.error():
                got.append(message)
            if len(got) == 2:
                break
    finally:
        consumer.close()
    by_key = {message.key(): (message.value(), dict(message.headers())) for message in got}
    body, headers = by_key[b"1"]
    assert body == BODY
    assert headers["ce_type"] == b"org.kubeflow.serving.inference.request"
    assert headers["content-type"] == b"application/json"
    assert by_key[b"2"][0] == b"{}"


def test_a_cluster_that_is_away(monkeypatch):
    monkeypatch.setattr("serve_app.observability.payloads.kafka._FLUSH_S", 0.5)
    one = Sender("a", parse(PayloadLogger, {"url": "kafka://127.0.0.1:1/events"}), "own")
    one.waiting.offer(record())
    one.end(0.1)
    for thread in one.threads:
        thread.join(20)
    assert one.waiting.counts() == {"stopped": 1}
