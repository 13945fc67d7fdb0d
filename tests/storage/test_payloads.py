"""Payload events in a bucket."""

import orjson

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads.record import Bytes, Record
from serve_app.observability.payloads.sender import Sender
from tests.storage.bucket import S3Bucket


def test_events_in_a_bucket(bucket: S3Bucket) -> None:
    config = {"url": bucket.uri("payloads"), "models": ["m"], "batch": {"maxEvents": 2}}
    sender = Sender("a", parse(PayloadLogger, config), "router1")
    for index in range(4):
        body = b'{"instances": [[%d]]}' % index
        asked = Bytes({b"content-type": b"application/json"}, [body], len(body))
        sender.waiting.offer(Record("request", str(index), 0.0, "m", "1", asked, len(body), len(body)))
    sender.end(30)
    for thread in sender.threads:
        thread.join(60)
    assert sender.waiting.counts() == {"sent": 4}
    keys = [one["Key"] for one in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]]
    assert len(keys) == 2
    assert all(key.startswith("payloads/20") and key.endswith(".jsonl") for key in keys)
    rows = [
        orjson.loads(line)
        for key in keys
        for line in bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read().splitlines()
    ]
    assert sorted(row["id"] for row in rows) == ["0", "1", "2", "3"]
    assert {row["data"]["instances"][0][0] for row in rows} == {0, 1, 2, 3}
