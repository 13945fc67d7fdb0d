"""What loggers are told of requests over HTTP, gRPC and inside of graphs."""

import asyncio

import pytest

from serve_app.config import parse
from serve_app.config.payloads import PayloadLogger
from serve_app.core.call import Call, Headers
from serve_app.errors import InvalidArgument
from tests.unit.ingress.payloads.told import ANSWER, V1, V2, logger
from tests.unit.planes import request, served, tensor


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


async def test_an_explanation_is_its_explainer_s(http, the_plane, log):
    """As in KServe, where another component answers it."""
    loggers = [{"url": "http://a/", "models": ["m"]}, {"url": "http://b/", "models": ["why"]}]
    log.configure([parse(PayloadLogger, one) for one in loggers])
    the_plane.directory.explainers["why"] = "why", "m"
    served(the_plane, "why", versions=("3",))
    answers = {
        path: await http.post(path, json=body)
        for path, body in (("/v1/models/m:explain", V1), ("/v2/models/m/explain", V2))
    }
    assert [one.records for one in log.senders[:1]] == [[]]
    said = [(kind, model, version, body) for kind, _, model, version, body in log.senders[1].told()]
    assert said == [
        (kind, "why", "3", body)
        for path, asked in (("/v1/models/m:explain", V1), ("/v2/models/m/explain", V2))
        for kind, body in (("request", asked), ("response", answers[path].json()))
    ]


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
    assert [one.name for one in log.senders] == ["0", "1"]  # a new one in the place of an old one
    assert b.records is None  # it sends what it has, and ends
    log.configure([parse(PayloadLogger, {"url": "http://c/"}), parse(PayloadLogger, first)])
    assert log.senders[1] is a  # wherever it stands
    assert [one.name for one in log.senders] == ["1", "0"]  # a number that no other has
    same = [parse(PayloadLogger, first), parse(PayloadLogger, first)]
    log.configure(same)
    assert (log.senders[0] is a, log.senders[1] is not a) == (True, True)
    log.configure([])
    assert (log.senders, a.records) == ([], None)
