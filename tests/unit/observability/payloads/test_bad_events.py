"""Events that can't be written, or that a sink never takes: dropped and counted; the others are sent."""

import orjson
import pytest

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads import faults, files
from serve_app.observability.payloads.sender import Sender
from tests.unit.observability.payloads.sink import until, web_sink
from tests.unit.observability.payloads.test_sender import _soon, ended, record  # noqa: F401

DEEP = b"[" * 300 + b"]" * 300  # read by orjson, which then can't write it


def rows(folder):
    found = sorted(path for path in folder.rglob("*.jsonl"))
    return [orjson.loads(line) for path in found for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_a_deep_body_is_logged_as_text(tmp_path, form):
    config = {"url": f"file://{tmp_path}/log", "format": form}
    one = Sender("a", parse(PayloadLogger, config), "own")
    one.waiting.offer(record(id="1", body=DEEP))
    one.waiting.offer(record(id="2"))
    assert ended(one) == {"sent": 2}
    if form == "json":
        assert next(row["data"] for row in rows(tmp_path)) == DEEP.decode()


def test_of_a_batch_the_bad_events_alone_are_dropped(tmp_path):
    config = {"url": f"file://{tmp_path}/log", "batch": {"maxEvents": 9, "maxSeconds": 60}}
    one = Sender("a", parse(PayloadLogger, config), "own")
    for index in range(9):
        one.waiting.offer(record(id="\ud800" if index in (2, 6) else str(index)))
    until(lambda: one.waiting.counts() == {"sent": 7, "broken": 2})
    assert sorted(row["id"] for row in rows(tmp_path)) == list("0134578")
    assert ended(one) == {"sent": 7, "broken": 2}


def test_what_a_store_says_is_not_the_events_fault(tmp_path, monkeypatch):
    said = [ValueError("unable to connect to the account"), TypeError("so")]
    put = files.Folder.put

    def refusing(self, name, data):
        if said:
            raise said.pop()
        put(self, name, data)

    monkeypatch.setattr(files.Folder, "put", refusing)
    config = {"url": f"file://{tmp_path}/log", "batch": {"maxEvents": 2}}
    one = Sender("a", parse(PayloadLogger, config), "own")
    one.waiting.offer(record(id="1"))
    one.waiting.offer(record(id="2"))
    until(lambda: one.waiting.counts() == {"sent": 2})
    assert ended(one) == {"sent": 2}


def test_bad_events_over_http():
    with web_sink() as sink:
        one = Sender("a", parse(PayloadLogger, {"url": sink.url}), "own")
        one.waiting.offer(record(id="\ud800"))
        one.waiting.offer(record(**{"content-type": b"text/plain\nX: y"}))
        one.waiting.offer(record(id="1"))
        assert ended(one) == {"sent": 1, "broken": 2}


@pytest.mark.parametrize(("status", "limit"), [(500, "TRIES"), (503, "TRIES_AWAY")])
def test_what_a_sink_never_takes_ends(monkeypatch, status, limit):
    monkeypatch.setattr(faults, limit, 3)
    with web_sink() as sink:
        sink.statuses = [status] * 3
        one = Sender("a", parse(PayloadLogger, {"url": sink.url}), "own")
        one.waiting.offer(record(id="1"))
        until(lambda: one.waiting.counts() == {"refused": 1})
        assert sink.statuses == []
        one.waiting.offer(record(id="2"))
        assert ended(one) == {"refused": 1, "sent": 1}
