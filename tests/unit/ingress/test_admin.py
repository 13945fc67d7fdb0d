"""Load and unload at the edges: who may, what is answered, what is written down."""

import base64
import json

import grpc
import httpx
import pytest

from serve_app.config import Admin, parse
from serve_app.core.call import Headers
from serve_app.errors import InvalidArgument, Unauthenticated, Unsupported
from serve_app.ingress.grpc import Servicer
from serve_app.ingress.rest import RestApp
from serve_app.ingress.secrets import check_token
from serve_app.protocol import inference_pb2 as pb
from serve_app.releases.asked import Asked
from tests.unit.ingress.administered import BEARER, TOKEN, app, client, limits
from tests.unit.planes import plane
from tests.unit.waiting import until

LOAD, UNLOAD = "/v2/repository/models/m/load", "/v2/repository/models/m/unload"


@pytest.fixture
async def http(changes):
    async with client(changes) as made:
        yield made


async def test_tritons_answer_is_empty(http, changes):
    for path in (LOAD, UNLOAD):
        answer = await http.post(path, headers=BEARER)
        assert (answer.status_code, answer.content) == (200, b"")
    assert [one.verb for one, _ in changes.asked] == ["load", "unload"]


@pytest.mark.parametrize(
    "headers",
    [
        BEARER, {"authorization": f"bearer  {TOKEN} "}, {"admin-key": TOKEN}, {"Admin-Key": TOKEN},
        {"authorization": "Bearer other", "admin-key": TOKEN},
    ],
)  # fmt: skip
async def test_the_token_comes_as_a_bearer_or_as_tritons_header(http, headers):
    assert (await http.post(LOAD, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "Bearer"},
        {"authorization": f"Basic {TOKEN}"}, {"admin-key": TOKEN[:-1]}, {"admin-key": f"{TOKEN}x"},
        {"admin-key": ""}, {"token": TOKEN}, {"admin-key": "ü"},
    ],
)  # fmt: skip
async def test_without_it_nothing_is_done_and_it_is_written_down(http, changes, headers, capfd):
    headers = {key: value.encode() for key, value in headers.items()}
    answer = await http.post(LOAD, headers={**headers, "x-client-address": "10.1.2.3"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert changes.asked == []
    await until(lambda: changes.noted)
    (line,) = changes.noted
    assert (line["model"], line["by"]) == ("m", "10.1.2.3")
    assert line["outcome"].startswith("refused")
    assert json.loads(capfd.readouterr().out)["event"] == "audit"
    assert TOKEN not in answer.text + str(changes.noted)


async def test_a_flood_of_wrong_tokens_is_a_line_a_second(http, changes):
    for _ in range(50):
        assert (await http.post(LOAD)).status_code == 401
    await until(lambda: changes.noted)
    assert len(changes.noted) == 1


async def test_off_means_off_and_says_how_to_switch_it_on(changes):
    transport = httpx.ASGITransport(RestApp(plane(), limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        for path in (LOAD, UNLOAD, "/v2/repository/webhook"):
            answer = await client.post(path, headers=BEARER)
            assert answer.status_code == 501
            assert "admin" in answer.json()["error"]
    context = Context()
    await Servicer(plane(), limits).RepositoryModelLoad(b"", context)
    assert context.code == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("token", ["", "short"])
async def test_a_service_without_a_token_is_open_to_nobody(http, changes, monkeypatch, token):
    monkeypatch.setenv("TANDEM_ADMIN_TOKEN", token)
    for headers in ({}, {"admin-key": token}, BEARER):
        assert (await http.post(LOAD, headers=headers)).status_code == 501
    assert changes.asked == []


def test_a_mounted_token_may_change(tmp_path):
    file = tmp_path / "token"
    admin = parse(Admin, {"tokenFile": str(file), "header": "X-Key"})
    with pytest.raises(Unsupported):
        check_token(admin, Headers([("x-key", "")]))
    for token in (TOKEN, f"{TOKEN}2"):
        file.write_text(f"{token}\n")
        check_token(admin, Headers([("x-key", token)]))
    with pytest.raises(Unauthenticated):
        check_token(admin, Headers([("x-key", TOKEN)]))


async def test_parameters_and_files(http, changes):
    files = {"file:1/model.onnx": base64.b64encode(b"abc").decode(), "config": "{}"}
    assert (await http.post(LOAD, json={"parameters": files}, headers=BEARER)).status_code == 200
    assert changes.asked[0][0] == Asked("load", "m", "", {}, {"1/model.onnx": b"abc"})
    await http.post(
        f"{UNLOAD}?version=3", json={"parameters": {"unload_dependents": False}}, headers=BEARER
    )
    assert changes.asked[1][0] == Asked("unload", "m", "3")


async def test_an_upload_may_be_larger_than_a_request_and_has_its_own_limit(http, changes):
    body = {"parameters": {"file:1/model.onnx": base64.b64encode(b"x" * 20_000).decode()}}
    assert (await http.post(LOAD, json=body, headers=BEARER)).status_code == 200
    http._transport.app.admin = app(changes, maxUploadBytes=10_000)
    answer = await http.post(LOAD, json=body, headers=BEARER)
    assert (answer.status_code, "maxUploadBytes" in answer.text) == (413, True)
    answer = await http.post(LOAD, content=b"x" * 2_000_000, headers=BEARER)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"3", b'{"parameters": []}', b'{"parameters": {"x": 1}}', b"\xff"]
)
async def test_a_wrong_body_is_a_400_and_audited(http, changes, body):
    answer = await http.post(LOAD, content=body, headers=BEARER)
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    assert changes.asked == []


async def test_what_cant_be_is_answered_with_its_reason(http, changes):
    changes.error = InvalidArgument("failed to load 'm': no file")
    answer = await http.post(LOAD, headers=BEARER)
    assert (answer.status_code, answer.json()) == (400, {"error": "failed to load 'm': no file"})


async def test_other_methods_are_named(http):
    assert (await http.get(LOAD, headers=BEARER)).status_code == 405
    assert (await http.post("/v2/repository/audit", headers=BEARER)).status_code == 405


async def test_the_audit_is_for_who_has_the_token(http):
    assert (await http.get("/v2/repository/audit")).status_code == 401
    answer = await http.get("/v2/repository/audit", headers=BEARER)
    assert answer.json() == {"generation": 3, "audit": [{"verb": "load"}]}


class Context:
    """grpc.aio's, as far as it is asked."""

    def __init__(self, *metadata) -> None:
        self.metadata, self.code, self.details = metadata, None, ""

    def invocation_metadata(self):
        return self.metadata

    def set_code(self, code):
        self.code = code

    def set_details(self, details):
        self.details = details


@pytest.fixture
def servicer(changes):
    made = Servicer(plane(), limits)
    made.admin = app(changes)
    return made


@pytest.mark.parametrize("key", ["admin-key", "triton-grpc-protocol-admin-key"])
async def test_grpc_has_the_same(servicer, changes, key):
    request = pb.RepositoryModelLoadRequest(model_name="m")
    request.parameters["config"].string_param = '{"concurrency": 2}'
    request.parameters["file:1/model.onnx"].bytes_param = b"\0\1"
    context = Context((key, TOKEN))
    answer = await servicer.RepositoryModelLoad(request.SerializeToString(), context)
    assert (answer.data, context.code) == (b"", None)
    assert changes.asked[0][0] == Asked("load", "m", "", {"concurrency": 2}, {"1/model.onnx": b"\0\1"})
    request = pb.RepositoryModelUnloadRequest(model_name="m")
    request.parameters["unload_dependents"].bool_param = True
    await servicer.RepositoryModelUnload(request.SerializeToString(), Context((key, TOKEN)))
    assert changes.asked[1][0] == Asked("unload", "m")


@pytest.mark.parametrize(
    ("data", "metadata", "code"),
    [
        (b"", (), "UNAUTHENTICATED"), (b"", (("authorization", "Bearer no"),), "UNAUTHENTICATED"),
        (b"\xff", (("admin-key", TOKEN),), "INVALID_ARGUMENT"),
        (b"x" * 80_000_000, (("admin-key", TOKEN),), "RESOURCE_EXHAUSTED"),
    ],
)  # fmt: skip
async def test_grpc_refuses_as_http_does(servicer, changes, data, metadata, code):
    context = Context(*metadata)
    await servicer.RepositoryModelLoad(data, context)
    assert context.code == grpc.StatusCode[code]
    assert changes.asked == []


TRAFFIC = "/v2/repository/models/m/traffic"
SHARES = {"weights": {"1": 90, "2": 10}}


async def test_traffic_is_told_set_and_given_back(http, changes):
    headers = {**BEARER, "x-client-address": "10.1.2.3"}
    assert (await http.post(TRAFFIC, json=SHARES, headers=headers)).json()["traffic"] == SHARES
    assert (await http.get(TRAFFIC, headers=headers)).json() == {"name": "m", "traffic": SHARES}
    assert (await http.delete(TRAFFIC, headers=headers)).status_code == 200
    assert changes.directed == [("m", SHARES, "10.1.2.3"), ("m", None, "10.1.2.3")]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_traffic_is_for_who_has_the_token(http, changes, method):
    answer = await http.request(method, TRAFFIC, content=json.dumps(SHARES))
    assert answer.status_code == 401
    assert not changes.directed
    await until(lambda: changes.noted)
    assert changes.noted[0]["verb"] == "traffic"


async def test_traffic_that_is_none(http, changes):
    answer = await http.post(TRAFFIC, content=b"{", headers=BEARER)
    assert (answer.status_code, "JSON" in answer.json()["error"]) == (400, True)
    answer = await http.put(TRAFFIC, json=SHARES, headers=BEARER)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST, DELETE")
    changes.error = InvalidArgument("traffic.weights.7: no version 7 is loaded")
    answer = await http.post(TRAFFIC, json=SHARES, headers=BEARER)
    assert (answer.status_code, answer.json()["error"]) == (400, str(changes.error))
    await until(lambda: changes.noted)


ROLLOUT = "/v2/repository/models/m/rollout"


async def test_rollouts_are_told_begun_and_ended(http, changes):
    said = {"version": "2"}
    answer = await http.post(ROLLOUT, json={"verb": "start", "rollout": said}, headers=BEARER)
    assert answer.json() == {"model": "m", "phase": "running"}
    await http.post(ROLLOUT, json={"verb": "abort"}, headers=BEARER)
    assert [one[:3] for one in changes.rolled] == [("m", "start", said), ("m", "abort", None)]
    assert (await http.get(ROLLOUT, headers=BEARER)).status_code == 200
    assert (await http.get(ROLLOUT)).status_code == 401
    assert (await http.put(ROLLOUT, headers=BEARER)).headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ([], 'expected {"verb"'), ({}, "verb: expected one of start, pause, resume, abort, promote"),
        ({"verb": "promot"}, "did you mean promote"), ({"verb": ["start"]}, "verb: expected one of"),
        ({"verb": "start", "rolout": {}}, "did you mean rollout?"),
        ({"verb": "pause", "rollout": {}}, "rollout: pause takes none"),
    ],
)  # fmt: skip
async def test_a_rollout_that_is_none(http, changes, said, text):
    answer = await http.post(ROLLOUT, json=said, headers=BEARER)
    assert (answer.status_code, text in answer.json()["error"]) == (400, True), answer.text
    assert not changes.rolled
