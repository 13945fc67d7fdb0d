"""Headers that a transformer's class sets on an answer (KServe's `response_headers`)."""

import httpx
import pytest

from serve_app.config import Cors, Limits, parse
from serve_app.core.graphs.transformers import Transformers
from serve_app.ingress.rest import RestApp
from serve_app.runtimes.transformer import KServeTransformer
from tests.unit.ingress.test_transformers import ROW, V2, Kept, entry, v1, v2

MODULE = """
from kserve import Model


class Says(Model):
    def __init__(self, name, says=True):
        super().__init__(name, return_response_headers=says)

    async def predict(self, payload, headers=None, response_headers=None):
        if response_headers is not None:
            response_headers["X-Model"] = "m"
        return await super().predict(payload, headers, response_headers)

    def postprocess(self, result, headers=None, response_headers=None):
        if response_headers is not None:
            response_headers |= {"x-of": response_headers["X-Model"], "x-count": 2}
            response_headers |= {"content-length": "3", "Content-Type": "text/plain", "x-none": None}
            response_headers |= {name[4:]: text for name, text in headers.items() if name[:4] == "set-"}
        return result
"""
BINARY = {**V2, "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}


@pytest.fixture
async def says(the_plane, write_module):
    name, spawn = write_module(MODULE), Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    silent = entry(name, "silent", "Says", options={"says": False})
    made.configure([entry(name, "says", "Says"), silent])
    await spawn.done()
    yield
    made.configure([])


@pytest.mark.parametrize(
    ("ask", "body", "kind"),
    [
        (v1, ROW, "application/json"),
        (v2, V2, "application/json"),
        (v2, BINARY, "application/octet-stream"),
    ],
)
async def test_they_come_with_the_answer(http, says, ask, body, kind):
    found = await ask(http, "says", body)
    assert found.status_code == 200, found.text
    sent = {name: found.headers[name] for name in ("x-model", "x-of", "x-count", "content-type")}
    assert sent == {"x-model": "m", "x-of": "m", "x-count": "2", "content-type": kind}
    assert int(found.headers["content-length"]) == len(found.content)


async def test_they_come_with_a_cloud_event(http, says):
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "a", "ce-type": "b"}
    found = await v1(http, "says", ROW, **event)
    assert (found.status_code, found.headers["x-model"]) == (200, "m")
    assert found.headers["ce-specversion"] == "1.0"


@pytest.mark.parametrize(("ask", "body"), [(v1, ROW), (v2, V2), (v2, BINARY)])
@pytest.mark.parametrize("name", ["x-request-id", "inference-header-content-length"])
async def test_what_tandem_says_comes_once(http, says, ask, body, name):
    found = await ask(http, "says", body, **{"x-request-id": "7", f"set-{name}": "zzz"})
    assert (found.status_code, "zzz" in found.text) == (200, False), found.text
    assert found.headers["x-request-id"] == "7"
    assert "zzz" not in found.headers.get(name, "")
    assert "x-none" not in found.headers


async def test_what_an_event_says_comes_once(http, says):
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "a", "ce-type": "b"}
    found = await v1(http, "says", ROW, **event, **{"set-ce-type": "mine"})
    assert found.headers.get_list("ce-type") == ["io.kserve.inference.response"]
    found = await v1(http, "says", ROW, **{"set-ce-type": "mine"})  # no event: it is the class's to say
    assert found.headers.get_list("ce-type") == ["mine"]


@pytest.mark.parametrize(("cors", "sent"), [(True, ["https://a"]), (False, ["mine"])])
async def test_which_pages_may_read_it_is_the_routers_to_say(the_plane, says, cors, sent):
    app = RestApp(the_plane, Limits)
    app.cors = parse(Cors, {"allowOrigins": ["https://a"]}) if cors else None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        headers = {"origin": "https://a", "set-access-control-allow-origin": "mine"}
        found = await v2(client, "says", V2, **headers, **{"set-vary": "x-mine"})
    assert found.headers.get_list("access-control-allow-origin") == sent
    assert "x-mine" in found.headers.get_list("vary")


async def test_a_class_that_asks_for_none_gets_none(http, says):
    found = await v1(http, "silent", ROW)
    assert (found.status_code, "x-model" in found.headers) == (200, False)


async def test_one_that_http_cant_carry_is_the_classs_fault(http, says):
    found = await v1(http, "says", ROW, **{"set-": "a header without a name"})
    why = "transformer 'says' set a response header that HTTP can't carry"
    assert (found.status_code, why in found.text) == (500, True), found.text
    assert "x-model" not in found.headers
