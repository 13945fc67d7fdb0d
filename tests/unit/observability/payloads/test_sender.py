"""Loggers against sinks that are there, away, slow, and of another mind."""

import json
import socket
import time

import pytest

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads import faults
from serve_app.observability.payloads import sender as sending
from serve_app.observability.payloads.record import Bytes, Record
from serve_app.observability.payloads.sender import Sender
from tests.unit.observability.payloads.sink import until, web_sink

BODY = b'{"instances": [[1, 2]], "name": "Ann"}'


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.01)


def record(kind="request", id="r1", body=BODY, **headers):
    pairs = {b"content-type": b"application/json"} | {k.encode(): v for k, v in headers.items()}
    size = len(body)
    return Record(kind, id, 1_700_000_000.25, "m", "3", Bytes(pairs, [body], size), size, size,
                  {"traceparent": "00-a-b-01", "metadata": "{}"})  # fmt: skip


def made(url, **more):
    return Sender("a", parse(PayloadLogger, {"url": url, **more}), "own")


def ended(one):
    one.end(10)
    for thread in one.threads:
        thread.join(20)
    assert not one.alive
    return one.waiting.counts()


def test_an_event_as_kserve_s_logger_sends_it():
    with web_sink() as sink:
        one = made(sink.url, inferenceService="iris", namespace="ns")
        one.waiting.offer(record())
        one.waiting.offer(record("response", body=b"{}"))
        assert ended(one) == {"sent": 2}
    by_type = {headers["ce-type"]: (headers, body) for headers, body in sink.got}
    headers, body = by_type["org.kubeflow.serving.inference.request"]
    assert body == BODY
    assert headers["content-type"] == "application/json"
    said = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
    recorded = said.pop("recordedtime")
    assert recorded.startswith("20")
    assert recorded.endswith("Z")
    assert said == {
        "specversion": "1.0", "id": "r1", "source": "http://localhost:9081/",
        "type": "org.kubeflow.serving.inference.request", "time": "2023-11-14T22:13:20.250000Z",
        "inferenceservicename": "iris", "namespace": "ns", "component": "predictor",
        "endpoint": "default", "metadata": "{}", "model": "m", "modelversion": "3",
        "traceparent": "00-a-b-01",
    }  # fmt: skip
    assert by_type["org.kubeflow.serving.inference.response"][1] == b"{}"


def test_a_sink_that_comes_back_gets_what_waited_and_the_rest_was_counted():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    one = made(f"http://127.0.0.1:{port}/events", queue={"maxEvents": 10})
    began = time.monotonic()
    for index in range(1000):
        one.waiting.offer(record(id=str(index)))
    assert time.monotonic() - began < 5  # nothing of it waits for the sink
    until(lambda: one.waiting.counts() == {"full": 990})
    with web_sink(port) as sink:
        until(lambda: len(sink.got) == 10)
        assert ended(one) == {"full": 990, "sent": 10}


def test_a_slow_sink_holds_up_nobody_and_all_are_counted():
    with web_sink() as sink:
        sink.seconds = 0.02
        one = made(sink.url, queue={"maxEvents": 20})
        for index in range(500):
            one.waiting.offer(record(id=str(index)))
        counts = ended(one)
    assert counts["sent"] + counts["full"] == 500
    assert counts["sent"] == len(sink.got) >= 20


def test_what_a_sink_refuses_is_dropped_and_what_it_cannot_take_now_is_sent_again():
    with web_sink() as sink:
        sink.statuses = [503, 400, 429, 302]
        one = made(sink.url)
        for index in range(4):
            one.waiting.offer(record(id=str(index)))
        assert ended(one) == {"sent": 2, "refused": 2}


def test_one_event_at_which_a_sink_cuts_the_connection_holds_up_no_others(monkeypatch):
    """As many of them as there are threads."""
    monkeypatch.setattr(sending, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(faults, "TRIES_AWAY", 20)
    with web_sink() as sink:
        sink.cuts = b"poison"
        one = made(sink.url, queue={"maxEvents": 30})
        for index in range(sending.WEB_THREADS):
            one.waiting.offer(record(id=f"p{index}", body=b"poison"))
        for index in range(20):
            one.waiting.offer(record(id=str(index)))
        until(lambda: one.waiting.counts() == {"sent": 20, "refused": sending.WEB_THREADS})
        assert one.waiting.events == 0
        assert ended(one) == {"sent": 20, "refused": sending.WEB_THREADS}


def test_what_a_sink_says_before_it_cuts_a_body_off_is_heard():
    """It answers from a size on without reading, and closes."""
    with web_sink() as sink:
        sink.most = 1000
        one = made(sink.url, maxBodyBytes=2**24)
        one.waiting.offer(record(id="large", body=b"x" * 8_000_000))
        one.waiting.offer(record())
        until(lambda: one.waiting.counts()["sent"] == 1)
        until(lambda: sink.refused > 0)
        assert ended(one)["sent"] == 1


def test_who_cant_be_reached_is_tried_without_end(monkeypatch):
    monkeypatch.setattr(sending, "LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(faults, "TRIES_AWAY", 20)
    one = made("http://127.0.0.1:1/")
    kept = record()
    one.waiting.offer(kept)
    time.sleep(0.5)
    assert (one.waiting.counts(), one.waiting.events, kept.tries) == ({}, 1, 0)
    one.end(0)


def test_a_sink_that_is_away_for_good_does_not_hold_up_the_end():
    one = made("http://127.0.0.1:1/")
    for index in range(20):
        one.waiting.offer(record(id=str(index)))
    one.end(0.05)
    for thread in one.threads:
        thread.join(20)
    assert one.waiting.counts() == {"stopped": 20}


@pytest.mark.parametrize(
    ("config", "body", "headers", "omitted"),
    [
        ({"maxBodyBytes": 10}, BODY, {}, "38 bytes, more than maxBodyBytes"),
        ({"redact": ["name"]}, b"{broken", {}, "it can't be read: JSONDecodeError"),
        ({"redact": ["name"]}, BODY, {"content-encoding": b"gzip"}, "it can't be read: InvalidArgument"),
        ({}, BODY, {"content-encoding": b"br"}, "it can't be read: UnsupportedCoding"),
    ],
)
def test_bodies_that_are_not_told(config, body, headers, omitted):
    with web_sink() as sink:
        one = made(sink.url, **config)
        one.waiting.offer(record(body=body, **headers))
        assert ended(one) == {"sent": 1}
    ((got, sent),) = sink.got
    assert (got["ce-omitted"], sent) == (omitted, b"")


def test_fields_are_taken_out():
    with web_sink() as sink:
        one = made(sink.url, redact=["name"])
        one.waiting.offer(record())
        ended(one)
    assert json.loads(sink.got[0][1]) == {"instances": [[1, 2]], "name": "[redacted]"}


def test_a_client_s_content_type_hides_nothing():
    with web_sink() as sink:
        one = made(sink.url, redact=["name"])
        one.waiting.offer(record(**{"content-type": b"text/event-stream"}))
        ended(one)
    assert json.loads(sink.got[0][1])["name"] == "[redacted]"


def test_names_that_headers_cannot_hold_are_encoded():
    with web_sink() as sink:
        one = made(sink.url, inferenceService="größe 1%")
        one.waiting.offer(record())
        ended(one)
    assert sink.got[0][0]["ce-inferenceservicename"] == "gr%C3%B6%C3%9Fe 1%25"
