"""A topic of librdkafka's own mock cluster, over TCP."""

import pytest

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads.events import Event
from serve_app.observability.payloads.faults import Partly
from serve_app.observability.payloads.kafka import Kafka
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


def test_what_is_too_large_is_refused_alone_and_nothing_comes_twice():
    cluster = kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 2})
    (broker,) = cluster.list_topics(timeout=20).brokers.values()
    address = f"{broker.host}:{broker.port}"
    sink = Kafka(address, "events", 1000)
    small, large = Event({"id": "s"}, "a/b", b"s"), Event({"id": "l"}, "a/b", b"l" * 70_000)
    with pytest.raises(Partly) as found:
        sink.send([small, large, small])
    assert (found.value.refused, found.value.left) == ({1}, set())
    with pytest.raises(Partly) as found:
        sink.send([large])
    assert (found.value.refused, found.value.left) == ({0}, set())
    config = {"url": f"kafka://{address}/events", "maxBodyBytes": 3 * 2**20}
    one = Sender("a", parse(PayloadLogger, config), "own")
    one.waiting.offer(record(id="2 MiB", body=b"x" * 2**21))
    assert ended(one) == {"sent": 1}
    settings = {"bootstrap.servers": address, "group.id": "h", "auto.offset.reset": "earliest"}
    consumer = kafka.Consumer(settings | {"log_level": 2})
    consumer.subscribe(["events"])
    try:
        keys = []
        for _ in range(200):
            if (message := consumer.poll(0.1)) is not None and not message.error():
                keys.append(message.key().decode())
            if len(keys) == 3:
                break
    finally:
        consumer.close()
    assert sorted(keys) == ["2 MiB", "s", "s"]


def test_a_batch_that_a_broker_finds_too_large_is_told_apart():
    """A stand-in for a topic with a lower limit, which librdkafka's mock cluster doesn't have."""
    sink = Kafka("x:1", "events", 10**6)

    class Topic:
        took, waiting = [], []

        def produce(self, topic, key, value, headers, on_delivery):
            self.waiting.append((value, on_delivery))

        def flush(self, _):
            whole = sum(len(value) for value, _ in self.waiting) <= 10
            for value, told in self.waiting:
                if whole:
                    self.took.append(value)
                told(None if whole else kafka.KafkaError(kafka.KafkaError.MSG_SIZE_TOO_LARGE), None)
            self.waiting.clear()
            return 0

    sink._producer = Topic()
    with pytest.raises(Partly) as found:
        sink.send([Event({"id": "1"}, "a/b", body) for body in (b"small", b"l" * 20, b"other")])
    assert (found.value.refused, found.value.left) == ({1}, set())
    assert Topic.took == [b"small", b"other"]


def test_a_cluster_that_is_away(monkeypatch):
    monkeypatch.setattr("serve_app.observability.payloads.kafka._FLUSH_S", 0.5)
    one = Sender("a", parse(PayloadLogger, {"url": "kafka://127.0.0.1:1/events"}), "own")
    one.waiting.offer(record())
    one.end(0.1)
    for thread in one.threads:
        thread.join(20)
    assert one.waiting.counts() == {"stopped": 1}
