"""Headers that a transformer's class sets on an answer (KServe's `response_headers`)."""

import pytest

from serve_app.core.graphs.transformers import Transformers
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
            response_headers |= {"content-length": "3", "Content-Type": "text/plain"}
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


async def test_a_class_that_asks_for_none_gets_none(http, says):
    found = await v1(http, "silent", ROW)
    assert (found.status_code, "x-model" in found.headers) == (200, False)


async def test_one_that_http_cant_carry_is_the_classs_fault(http, says):
    found = await v1(http, "says", ROW, **{"set-": "a header without a name"})
    why = "transformer 'says' set a response header that HTTP can't carry"
    assert (found.status_code, why in found.text) == (500, True), found.text
    assert "x-model" not in found.headers
