"""What loggers are told of requests over HTTP, gRPC and inside of graphs."""

import asyncio
import gzip
import json
import zlib

import httpx
import orjson
import pytest

from serve_app.config import Limits, parse
from serve_app.config.graph import Graph
from serve_app.config.payloads import PayloadLogger
from serve_app.core.call import Call, Headers
from serve_app.core.graphs.serve import Graphs
from serve_app.errors import InvalidArgument, raised
from serve_app.ingress.rest import RestApp
from serve_app.observability.payloads.events import event_of
from serve_app.observability.payloads.log import Exchange, PayloadLog
from serve_app.protocol import client as codec
from tests.unit.planes import Raises, plane, request, served, tensor

V1 = {"instances": [[1, 2]]}
V2 = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


class Kept:
    """In the place of a queue with threads behind it."""

    def __init__(self, name, config, own):
        self.name, self.config, self.waiting, self.records, self.alive = name, config, self, [], False
        self.full, self.away = False, 0
        self.asks, self.answers = config.mode != "response", config.mode != "request"

    def wants(self, model):
        return not self.config.models or model in self.config.models

    def offer(self, record):
        assert not self.full
        self.records.append(record)

    def turn_away(self, records):
        self.away += records

    def end(self, seconds):
        self.records = None

    def told(self):
        """Kind, id, model, version and JSON of each, and what else was said of it."""
        events = [event_of(one, self.config) for one in self.records]
        return [
            (one.kind, one.id, one.model, one.version, event.data and orjson.loads(event.data))
            for one, event in zip(self.records, events, strict=True)
        ]


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr("serve_app.observability.payloads.log.Sender", Kept)
    return PayloadLog("own")


@pytest.fixture
def the_plane(log):
    made = plane()
    served(made, versions=("3",))
    served(made, "picky", backend=Raises(InvalidArgument("too small")))
    served(made, "bad", backend=Raises(raised("model 'bad' raised", ValueError("no"))))
    made.observers.each = (*made.observers.each, log)
    steps = [{"serviceName": "m"}, {"serviceName": "picky", "data": "$response"}]
    root = {"root": {"routerType": "Ensemble", "steps": steps}}
    around = {"root": {"routerType": "Sequence", "steps": [{"serviceName": "g"}]}}
    graphs = [
        parse(Graph, {"name": "g", "nodes": root}),
        parse(Graph, {"name": "outer", "nodes": around}),
    ]
    Graphs(made).configure(graphs)
    return made


@pytest.fixture
def rest(the_plane, log):
    app = RestApp(the_plane, lambda: Limits(maxBodyBytes=50_000, minCompressBytes=10))
    app.heard_by(log)
    return app


@pytest.fixture
async def http(rest):
    transport = httpx.ASGITransport(rest)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://t", headers={"accept-encoding": ""}
    ) as client:
        yield client


def logger(log, **config):
    log.configure([parse(PayloadLogger, {"url": "http://sink/", **config})])
    return log.senders[0]


ANSWER = {"predictions": [{"y": [13.0, 23.0], "z": [1.0, 2.0]}]}


async def test_v1_in_its_own_words(http, log):
    kept = logger(log, metadataHeaders=["X-Team"])
    headers = {"x-request-id": "r1", "traceparent": "00-a-b-01", "x-team": "blue"}
    await http.post("/v1/models/m:predict", json=V1, headers=headers)
    assert kept.told() == [
        ("request", "r1", "m", "3", V1),
        ("response", "r1", "m", "3", ANSWER),
    ]
    first, second = kept.records
    assert first.more == {"traceparent": "00-a-b-01", "metadata": '{"X-Team":["blue"]}'}
    assert first.time <= second.time


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


@pytest.mark.parametrize(("mode", "kinds"), [("request", ["request"]), ("response", ["response"])])
async def test_one_of_the_two(http, log, mode, kinds):
    kept = logger(log, mode=mode)
    await http.post("/v1/models/m:predict", json=V1)
    assert [one.kind for one in kept.records] == kinds


async def test_failures_are_told_as_kserve_tells_them_the_request_alone(http, log):
    kept = logger(log)
    await http.post("/v1/models/bad:predict", json=V1)
    await http.post("/v1/models/m:predict", json={"instances": [[1]]})
    await http.post("/v1/models/m:predict", content=b"{broken")
    await http.post("/v1/models/nobody:predict", json=V1)
    assert [(one.kind, one.model) for one in kept.records] == [
        ("request", "bad"), ("request", "m"), ("request", "m"),
    ]  # fmt: skip


async def test_what_asks_no_model_is_not_told(http, log):
    kept = logger(log)
    for path in ("/v2", "/v2/models/m", "/v2/models/m/ready", "/v1/models", "/v2/models/stats"):
        await http.get(path)
    await http.post("/v2/repository/index", json={})
    assert kept.records == []


async def test_each_logger_has_its_models(http, log):
    loggers = [
        {"url": "http://a/", "models": ["m"]},
        {"url": "http://b/"},
        {"url": "http://c/", "models": ["q"]},
    ]
    log.configure([parse(PayloadLogger, one) for one in loggers])
    await http.post("/v1/models/m:predict", json=V1)
    assert [len(one.records) for one in log.senders] == [2, 2, 0]


async def test_large_bodies_are_not_kept(http, log):
    kept = logger(log, maxBodyBytes=100)
    rows = {"instances": [[1, 2]] * 100}
    await http.post("/v1/models/m:predict", json=rows)
    asked, answered = kept.records
    assert asked.size > 100
    assert asked.body.parts is answered.body.parts is None
    assert event_of(asked, kept.config).attributes["omitted"].endswith("more than maxBodyBytes")
    assert asked.held == answered.held == 0  # they have room, however large they were


async def test_grpc_is_told_as_v2_s_json(the_plane, log):
    kept = logger(log)
    call = Call(request(tensor([[1, 2]]), id="one"), Headers([("traceparent", "t")]), "grpc")
    await the_plane.infer(call)
    asked, answered = kept.told()
    assert asked[:4] == ("request", "one", "m", "3")
    assert asked[4]["inputs"] == V2["inputs"]
    assert answered[4]["outputs"][0]["data"] == [13, 23]
    assert kept.records[0].more["traceparent"] == "t"
    with pytest.raises(InvalidArgument):
        await the_plane.infer(Call(request(tensor([[1, 2]]), model="picky"), transport="grpc"))
    assert [one[0] for one in kept.told()] == ["request", "response", "request"]


@pytest.mark.parametrize(
    ("mode", "asked", "answered"), [("all", 3, 2), ("request", 3, 0), ("response", 0, 2)]
)
async def test_who_has_no_room_is_told_nothing_and_counts_as_much(
    the_plane, http, log, mode, asked, answered
):
    """One of three requests fails, so that there is no answer of it to tell."""
    full = logger(log, mode=mode)
    full.full = True
    assert (await http.post("/v2/models/m/infer", json=V2)).status_code == 200
    assert (await http.post("/v2/models/bad/infer", json=V2)).status_code == 500
    await the_plane.infer(Call(request(tensor([[1, 2]]), model="m"), Headers(), "grpc"))
    assert (full.records, full.away) == ([], asked + answered)


async def test_who_has_room_is_told_all_beside_one_that_has_none(http, log):
    log.configure([parse(PayloadLogger, {"url": f"http://{name}/", "name": name}) for name in "ab"])
    full, other = log.senders
    full.full = True
    await http.post("/v1/models/m:predict", json=V1)
    assert [kind for kind, *_ in other.told()] == ["request", "response"]
    assert full.away == 2
    other.full, full.full = True, False
    await http.post("/v1/models/m:predict", json=V1)
    assert (len(full.records), other.away) == (2, 2)


async def test_a_graph_s_steps_are_requests_of_their_own(http, log):
    kept = logger(log)
    await http.post("/v1/models/g:predict", json=V1)
    assert sorted((one.model, one.kind) for one in kept.records) == [
        ("g", "request"), ("g", "response"), ("m", "request"), ("m", "response"), ("picky", "request"),
    ]  # fmt: skip
    assert len({one.id for one in kept.records}) == 1


async def test_a_graph_as_a_step_of_a_graph_is_told_by_its_documents(http, log):
    kept = logger(log, models=["g", "outer"])
    said = {**V1, "number": 2**70}
    await http.post("/v1/models/outer:predict", json=said)
    told = {(kind, model): body for kind, _, model, _, body in kept.told()}
    assert told["request", "outer"] == told["request", "g"] == said
    assert told["response", "g"] == told["response", "outer"]
    assert "too small" in str(told["response", "g"])


async def test_a_step_is_told_without_the_time_that_was_left_for_it(http, the_plane, log):
    kept = logger(log, models=["m"])
    asked = {**V2, "parameters": {"own": 1, "timeout": 5_000_000}}
    await http.post("/v2/models/g/infer", json=asked)
    assert kept.told()[0][4]["parameters"] == {"own": 1}
    await the_plane.infer(
        Call(request(tensor([[1, 2]]), model="m", parameters={"timeout": 7}), transport="grpc")
    )
    assert kept.told()[2][4]["parameters"] == {"timeout": 7}  # a client's own


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


async def test_side_by_side_none_is_told_as_another(http, log):
    kept = logger(log)
    ids = [str(index) for index in range(20)]
    await asyncio.gather(*(http.post("/v2/models/m/infer", json={**V2, "id": one}) for one in ids))
    assert all(one[1] == one[4]["id"] for one in kept.told())
    assert sorted(one[1] for one in kept.told()) == sorted(ids * 2)


async def test_off_there_is_nothing_of_it(rest, log, http):
    rest.heard_by(None)
    assert "answer" not in vars(rest)
    kept = logger(log)
    await http.post("/v2/models/m/infer", json=V2)
    # The observer that would hear of it isn't among a Router's then, either: deployments.router.
    assert [one.kind for one in kept.records] == ["request", "response"]


def test_loggers_that_stay_keep_their_queues(log):
    first, second = ({"url": f"http://{name}/"} for name in "ab")
    log.configure([parse(PayloadLogger, first), parse(PayloadLogger, second)])
    a, b = log.senders
    log.configure([parse(PayloadLogger, first), parse(PayloadLogger, {**second, "sample": 0.5})])
    assert log.senders[0] is a
    assert log.senders[1] is not b
    assert b.records is None  # it sends what it has, and ends
    log.configure([parse(PayloadLogger, {"url": "http://c/"}), parse(PayloadLogger, first)])
    assert log.senders[1] is a  # wherever it stands
    assert [one.name for one in log.senders] == ["1", "0"]  # a number that no other has
    same = [parse(PayloadLogger, first), parse(PayloadLogger, first)]
    log.configure(same)
    assert (log.senders[0] is a, log.senders[1] is not a) == (True, True)
    log.configure([])
    assert (log.senders, a.records) == ([], None)
