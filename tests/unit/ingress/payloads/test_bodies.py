"""How bodies are told: packed, binary, and too large."""

import gzip
import json
import zlib

import orjson
import pytest

from serve_app.core.call import Call
from serve_app.observability.payloads.events import event_of
from serve_app.observability.payloads.log import Exchange
from serve_app.protocol import client as codec
from tests.unit.ingress.payloads.told import ANSWER, V1, V2, logger
from tests.unit.planes import request, tensor


async def test_v2_as_it_came_and_went(http, log):
    kept = logger(log)
    await http.post("/v2/models/m/versions/3/infer", json={**V2, "id": "abc"})
    await http.post("/v2/models/m/infer", json=V2, headers={"ce-id": "event"})
    asked, answered, *_ = kept.told()
    assert asked == ("request", "abc", "m", "3", {**V2, "id": "abc"})
    assert answered[4]["outputs"][0]["data"] == [13, 23]
    assert {one[1] for one in kept.told()[2:]} == {"event"}


async def test_packed_bodies_are_told_unpacked(http, log):
    kept = logger(log)
    headers = {"content-encoding": "gzip", "accept-encoding": "gzip"}
    body = gzip.compress(json.dumps(V1).encode())
    await http.post("/v1/models/m:predict", content=body, headers=headers)
    assert [one[4] for one in kept.told()] == [V1, ANSWER]


async def test_binary_tensors_stay_as_they_are(http, log):
    kept = logger(log)
    asked = request(tensor([[1.0, 2.0]]), binary_output=True)
    body, length = codec.encode_http(asked, binary=True)
    headers = {
        "inference-header-content-length": str(length),
        "content-type": "application/octet-stream",
    }
    await http.post("/v2/models/m/infer", content=bytes(body), headers=headers)
    first, second = [event_of(one, kept.config) for one in kept.records]
    assert (first.data, first.kind) == (bytes(body), "application/octet-stream")
    assert first.attributes["inferenceheadercontentlength"] == str(length)
    assert second.kind == "application/octet-stream"
    assert "inferenceheadercontentlength" in second.attributes


async def test_large_bodies_are_not_kept(http, log):
    kept = logger(log, maxBodyBytes=100)
    rows = {"instances": [[1, 2]] * 100}
    await http.post("/v1/models/m:predict", json=rows)
    asked, answered = kept.records
    assert asked.size > 100
    assert asked.body.parts is answered.body.parts is None
    assert event_of(asked, kept.config).attributes["omitted"].endswith("more than maxBodyBytes")
    assert asked.held == answered.held == 0  # they have room, however large they were


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b'{"instances": ') + gzip.compress(b"[[1, 2]]}")),
        ("x-gzip", gzip.compress(orjson.dumps(V1))),
        ("gzip, gzip", gzip.compress(gzip.compress(orjson.dumps(V1)))),
        ("deflate", zlib.compress(orjson.dumps(V1))[2:-4]),
    ],
    ids=["two members", "x-gzip", "twice", "bare deflate"],
)
async def test_whatever_a_request_may_be_packed_by_is_unpacked(http, log, coding, body):
    kept = logger(log)
    headers = {"content-encoding": coding}
    assert (await http.post("/v1/models/m:predict", content=body, headers=headers)).status_code == 200
    assert [one[4] for one in kept.told()] == [V1, ANSWER]


async def test_what_unpacks_to_more_than_anybody_wants_says_its_size(http, log):
    kept = logger(log, maxBodyBytes=1000)
    body = gzip.compress(orjson.dumps({"instances": [[1, 2]] * 1000}))
    await http.post("/v1/models/m:predict", content=body, headers={"content-encoding": "gzip"})
    event = event_of(kept.records[0], kept.config)
    assert event.attributes["omitted"] == f"{len(body)} bytes that unpack to more than maxBodyBytes"
    assert event.data is None


async def test_what_was_let_go_isnt_told_as_nothing_where_more_may_be_kept_by_now(rest, log):
    """Of a request that came before a deploy that raised maxBodyBytes."""
    logger(log, maxBodyBytes=20)
    exchange = Exchange([(b"content-type", b"application/json")], 0.0, log.most)
    exchange.call = Call(request(tensor([[1, 2]]), model="m"))
    exchange.call.model, exchange.asked, exchange.status = "m", 300, 200
    exchange.answered, exchange.answer = 10, [b'{"a": "b"}']
    kept = logger(log, maxBodyBytes=1000)
    log.over(exchange)
    asked, answered = (event_of(one, kept.config) for one in kept.records)
    assert (asked.data, asked.attributes["omitted"]) == (None, "300 bytes, more than maxBodyBytes")
    assert (answered.data, "omitted" in answered.attributes) == (b'{"a": "b"}', False)
