"""A request that is refused before it has a model is counted and logged, whatever protocol it speaks."""

import httpx
import pytest

from serve_app.config import Limits
from serve_app.core.dataplane import DataPlane
from serve_app.ingress.rest import RestApp
from tests.unit.planes import heard, plane, served


@pytest.fixture
def made() -> DataPlane:
    found = plane()
    served(found)
    return found


async def asked(made: DataPlane, method: str, path: str, content: bytes = b"") -> httpx.Response:
    transport = httpx.ASGITransport(RestApp(made, Limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.request(method, path, content=content)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/models/m:predict", b"{", "InvalidArgument"),
        ("/v1/models/m:predict", b'{"instances": 3}', "InvalidArgument"),
        ("/v1/models/m:explain", b'{"instances": [[1, 2]]}', "Unsupported"),
        ("/v1/models/none:predict", b"{}", "NotFound"),
        ("/v2/models/m/infer", b"{", "InvalidArgument"),
        ("/v2/models/m/generate", b"{", "InvalidArgument"),
        ("/v1/chat/completions", b"{", "InvalidArgument"),
        ("/v1/completions", b'{"model": "none"}', "UnknownModel"),
    ],
)
async def test_it_is_counted_once(made: DataPlane, path: str, body: bytes, kind: str) -> None:
    answer = await asked(made, "POST", path, body)
    assert answer.status_code >= 400
    assert [call.status for call in heard(made).calls] == [kind]


async def test_a_wrong_default_version_is_one_model_s_trouble(made: DataPlane) -> None:
    made.directory.models["m"].direct("9", None)
    served(made, "other")
    document = await asked(made, "GET", "/openapi.json")
    assert document.status_code == 200
    paths = document.json()["paths"]
    assert {"/v2/models/m/infer", "/v2/models/m/versions/1/infer"} <= set(paths)
    assert "/v1/models/other:predict" in paths
    assert "/v1/models/m:predict" not in paths  # whose inputs nobody knows
    answer = await asked(made, "POST", "/v1/models/m:predict", b'{"instances": [[1, 2]]}')
    assert answer.status_code == 503
    assert "default version '9' isn't loaded" in answer.json()["error"]
    for path in ("/v1/models", "/v2/models/stats", "/v2/models/m/stats", "/v2/models/other"):
        assert (await asked(made, "GET", path)).status_code == 200
