"""HTTP as HTTP is: HEAD, slashes, codings, names of requests; errors as readers of a URL expect them."""

import json

import httpx
import pytest
from ray.serve._private.http_util import RequestIdMiddleware

from serve_app.config import Limits
from serve_app.errors import ModelFailed
from serve_app.ingress.rest import ByServe, RestApp
from tests.unit.ingress.rest_bodies import BODY, INFER, error
from tests.unit.planes import Raises, heard, served

GETS = [
    "/",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models",
    "/v2/models/m",
    "/v2/models/m/ready",
    "/v2/models/m/versions/1",
    "/v2/models/m/config",
    "/v2/models/stats",
    "/v2/models/m/versions/2/stats",
    "/v1/models",
    "/v1/models/m",
    "/openai/v1/models",
    "/docs",
    "/docs/static/swagger-ui.css",
    "/openapi.json",
]


@pytest.mark.parametrize("path", [*GETS, "/v2/models/none", "/v2/models/new/ready", "/nowhere"])
async def test_head_is_get_without_the_body(http, path):
    whole = await http.get(path, headers={"x-request-id": "r"})
    bare = await http.head(path, headers={"x-request-id": "r"})
    assert bare.content == b""
    assert (bare.status_code, dict(bare.headers)) == (whole.status_code, dict(whole.headers))
    assert int(bare.headers["content-length"]) == len(whole.content)


@pytest.mark.parametrize("path", [path for path in GETS if path != "/" and "static" not in path])
async def test_a_slash_at_the_end_changes_nothing(http, path):
    plain, slashed = await http.get(path), await http.get(path + "/")
    assert slashed.status_code == plain.status_code == 200
    assert slashed.content == plain.content


async def test_a_slash_behind_verbs(http):
    assert (await http.post(INFER + "/", json=BODY)).status_code == 200
    assert (await http.post("/v2/repository/index/")).status_code == 200
    assert (await http.post("/v1/models/m:predict/", json={"instances": [[1, 2]]})).status_code == 200
    assert (await http.get(INFER + "/")).headers["allow"] == "POST"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
async def test_the_root_is_alive_for_kserves_v1_clients(http, accept):
    headers = {"accept": accept} if accept else {}
    assert (await http.get("/", headers=headers)).json() == {"status": "alive"}


async def test_a_browser_is_led_to_the_page(http):
    """With what Firefox and Chrome send."""
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = await http.get("/", headers={"accept": accept})
    assert (answer.status_code, answer.headers["location"]) == (302, "/docs")
    assert answer.headers["vary"] == "accept"
    assert "text/html" in (await http.get(answer.headers["location"])).headers["content-type"]


@pytest.mark.parametrize("path", [INFER, "/v1/models/m:predict", "/v1/completions"])
async def test_an_unknown_content_encoding(http, path):
    answer = await http.post(path, content=b"x", headers={"content-encoding": "br"})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert "got 'br'" in json.dumps(answer.json())


@pytest.mark.parametrize("id", ["r-1", "!~", "x" * 128, "0b1c-44:é".encode().decode("ascii", "ignore")])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INFER, BODY),
        (INFER, {}),
        ("/v2/models/none/infer", BODY),
        ("/v2/models/bad/infer", BODY),
        ("/v1/models/m:predict", {"instances": [[1, 2]]}),
        ("/nowhere", {}),
        ("/v1/completions", {}),
        ("/v2/models/m/generate", {"text_input": "a"}),
    ],
)
async def test_the_name_of_a_request_comes_back(http, path, body, id):
    answer = await http.post(path, json=body, headers={"X-Request-Id": id})
    assert answer.headers.get_list("x-request-id") == [id]


@pytest.mark.parametrize("sent", [None, "", "x" * 129, "a b", "é", "\t"])
async def test_what_is_no_usable_name_does_not_come_back(http, sent):
    """A header costs an echo something: it is for those who asked."""
    headers = {} if sent is None else {"X-Request-Id": sent.encode("latin-1")}
    answers = [
        await http.post(INFER, json={"inputs": BODY["inputs"]}, headers=headers) for _ in range(2)
    ]
    assert not any("x-request-id" in answer.headers for answer in answers)
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 2
    assert all(len(id) == 32 and id.isalnum() for id in ids)


async def test_the_name_is_the_id_of_a_request_without_one(http, the_plane):
    nameless = {"inputs": BODY["inputs"]}
    answer = await http.post(INFER, json=nameless, headers={"X-Request-Id": "r"})
    assert answer.json()["id"] == "r"
    answer = await http.post(INFER, json=BODY, headers={"X-Request-Id": "r"})
    assert answer.json()["id"] == "abc"
    calls = heard(the_plane).calls
    assert [(call.request.id, call.request_id) for call in calls[:2]] == [("r", "r"), ("abc", "r")]


@pytest.mark.parametrize("headers", [{}, {"x-request-id": "r"}])
async def test_by_serves_way_serve_adds_the_name(the_plane, headers):
    app = RestApp(the_plane, Limits)
    transport = httpx.ASGITransport(RequestIdMiddleware(ByServe(app)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers) as client:
        answer = await client.post(INFER, json={"inputs": BODY["inputs"]})
    (name,) = answer.headers.get_list("x-request-id")
    assert answer.json()["id"] == name == headers.get("x-request-id", name)
    assert app.paths.take() == {("http", "serve"): 1}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/audio/speech", 404),
        ("GET", "/v1/files", 404),
        ("POST", "/v1/responses/", 404),
        ("POST", "/openai/v1/images/generations", 404),
        ("GET", "/openai/v1/nothing", 404),
        ("GET", "/openai", 404),
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/v1/embeddings", 405),
        ("POST", "/openai/v1/models", 405),
        ("DELETE", "/openai/v1/models/m", 405),
    ],
)
async def test_errors_below_openais_urls_have_its_form(http, method, path, status):
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    found = answer.json()["error"]
    assert isinstance(found.pop("message"), str)
    assert found == {"type": "invalid_request_error", "param": None, "code": None}
    if status == 405:
        assert answer.headers["allow"] == ("GET, HEAD" if path.startswith("/openai") else "POST")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/none", 404),
        ("GET", "/v1/models/m:nothing", 404),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/models/none:predict", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v1x", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v2/models/none/generate", 405),
    ],
)
async def test_errors_elsewhere_are_plain(http, method, path, status):
    assert error(await http.request(method, path), status)


async def test_a_bug_of_ours_has_the_form_of_its_url(http, the_plane, monkeypatch):
    def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(the_plane.directory, "engine", broken)
    answer = await http.post("/v1/completions", json={"model": "m", "prompt": "a"})
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" not in answer.text


async def test_a_models_failure_names_the_request(http, the_plane):
    served(the_plane, "bad", backend=Raises(ModelFailed("no")))
    answer = await http.post(
        "/v2/models/bad/infer", json={"inputs": BODY["inputs"]}, headers={"x-request-id": "r-7"}
    )
    assert error(answer, 500) == "no (request id r-7)"
