"""Which web pages may read answers, by the rules of the Fetch standard."""

import httpx
import pytest

from serve_app.config import Cors, Limits, RouterUserConfig, parse
from serve_app.errors import ConfigError
from serve_app.ingress.rest import RestApp
from tests.unit.ingress.rest_bodies import BODY, INFER

PAGE = "https://app.example.com"
ASK = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-mine",
}


@pytest.fixture
def http(the_plane):
    """`http(**cors)`: a client of a server with that configuration."""

    def client(**cors) -> httpx.AsyncClient:
        app = RestApp(the_plane, Limits)
        app.cors = parse(Cors, cors) if cors else None
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t")

    return client


def about(answer: httpx.Response) -> dict[str, str]:
    names = [name for name in answer.headers if name.startswith("access-control")]
    return {name.removeprefix("access-control-"): answer.headers[name] for name in names}


async def test_off_by_default(http):
    answer = await http().options(INFER, headers=ASK)
    assert (answer.status_code, answer.headers["allow"], about(answer)) == (405, "POST", {})
    answer = await http().post(INFER, json=BODY, headers={"origin": PAGE})
    assert (answer.status_code, about(answer), "vary" in answer.headers) == (200, {}, False)


async def test_a_preflight(http):
    answer = await http(allowOrigins=[PAGE, "http://localhost:3000"]).options(INFER, headers=ASK)
    assert (answer.status_code, answer.content) == (204, b"")
    assert about(answer) == {
        "allow-origin": PAGE,
        "allow-methods": "GET, HEAD, POST",
        "allow-headers": "content-type,x-mine",
        "max-age": "600",
    }
    assert "origin" in answer.headers["vary"]


async def test_a_preflight_as_configured(http):
    cors = {"allowHeaders": ["Content-Type"], "maxAge": 5, "allowCredentials": True}
    answer = await http(allowOrigins=[PAGE], **cors).options("/v1/models", headers=ASK)
    assert about(answer)["allow-headers"] == "Content-Type"
    assert about(answer)["max-age"] == "5"
    assert about(answer)["allow-credentials"] == "true"
    answer = await http(allowOrigins=["*"]).options(INFER, headers=ASK)
    assert about(answer)["allow-origin"] == "*"


@pytest.mark.parametrize(
    "origin", ["https://evil.com", "https://app.example.com.evil.com", "null", PAGE + "/"]
)
async def test_other_pages(http, origin):
    client = http(allowOrigins=[PAGE], allowCredentials=True)
    answer = await client.options(INFER, headers={**ASK, "origin": origin})
    assert answer.status_code == 403
    assert "cors.allowOrigins" in answer.json()["error"]
    assert "allow-origin" not in about(answer)
    answer = await client.post(INFER, json=BODY, headers={"origin": origin})
    assert (answer.status_code, about(answer), answer.headers["vary"]) == (200, {}, "origin")


@pytest.mark.parametrize(("path", "status"), [(INFER, 200), ("/v2/models/none/infer", 404), ("/x", 404)])
async def test_answers_and_errors_can_be_read(http, path, status):
    client = http(allowOrigins=[PAGE], exposeHeaders=["X-Request-Id"], allowCredentials=True)
    answer = await client.post(path, json=BODY, headers={"origin": PAGE})
    assert answer.status_code == status
    assert about(answer) == {
        "allow-origin": PAGE,
        "allow-credentials": "true",
        "expose-headers": "X-Request-Id",
    }
    assert answer.headers["vary"] == "origin"


async def test_what_no_page_asks_says_that_pages_get_another_answer(http):
    answer = await http(allowOrigins=[PAGE]).get("/v2")
    assert (about(answer), answer.headers["vary"]) == ({}, "origin")
    answer = await http(allowOrigins=["*"]).get("/v2", headers={"origin": PAGE})
    assert about(answer) == {
        "allow-origin": "*",
        "expose-headers": "Inference-Header-Content-Length, X-Request-Id, Retry-After",
    }
    assert "vary" not in answer.headers


async def test_options_without_a_question_is_no_preflight(http):
    answer = await http(allowOrigins=[PAGE]).options(INFER, headers={"origin": PAGE})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("cors", "says"),
    [
        ({}, "cors.allowOrigins: required"),
        ({"allowOrigins": []}, "cors.allowOrigins"),
        ({"allowOrigins": [PAGE + "/"]}, "cors.allowOrigins.*scheme://host.*without a path"),
        ({"allowOrigins": ["example.com"]}, "scheme://host"),
        ({"allowOrigins": ["HTTPS://A.com"]}, "lower case"),
        ({"allowOrigins": ["https://*.example.com"]}, "scheme://host"),
        ({"allowOrigins": ["null"]}, "scheme"),
        (
            {"allowOrigins": ["*"], "allowCredentials": True},
            "cors: allowCredentials needs origins by name",
        ),
        (
            {"allowOrigins": [PAGE], "exposeHeaders": ["a b"]},
            "cors.exposeHeaders.*not the name of a header",
        ),
        ({"allowOrigins": [PAGE], "allowHeaders": ["a\r\nb: c"]}, "cors.allowHeaders"),
        ({"allowOrigins": [PAGE], "maxAge": -1}, "cors.maxAge"),
        ({"allowOrigin": [PAGE]}, "cors.allowOrigin: unknown key; did you mean allowOrigins"),
    ],
)
def test_wrong_configurations(cors, says):
    with pytest.raises(ConfigError, match=says):
        parse(RouterUserConfig, {"cors": cors})


@pytest.mark.parametrize(
    "origin",
    ["*", PAGE, "http://localhost:3000", "http://[::1]:80", "capacitor://localhost", "http://10.0.0.1"],
)
def test_origins_that_can_be(origin):
    assert parse(RouterUserConfig, {"cors": {"allowOrigins": [origin]}}).cors.allow_origins == [origin]
