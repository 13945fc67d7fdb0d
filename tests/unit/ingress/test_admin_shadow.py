"""What came of a shadow's copies, for who has the token."""

import httpx
import pytest

from serve_app.ingress.rest import RestApp
from tests.unit.ingress.administered import BEARER, Changes, client, limits
from tests.unit.planes import plane

PATH = "/v2/repository/models/m/shadow"


async def test_for_who_has_the_token(changes: Changes) -> None:
    async with client(changes) as http:
        answer = await http.get(PATH, headers=BEARER)
        assert (answer.status_code, answer.json()) == (200, {"model": "m", "config": None})
        assert (await http.get(PATH)).status_code == 401
        missing = await http.get("/v2/repository/models/other/shadow", headers=BEARER)
        assert (missing.status_code, missing.json()) == (404, {"error": "no model 'other'"})
        assert (await http.post(PATH, headers=BEARER)).status_code == 405


@pytest.mark.parametrize("path", [PATH, "/v2/repository/models/m/load"])
async def test_where_admin_is_off(path: str) -> None:
    transport = httpx.ASGITransport(RestApp(plane(), limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        answer = await http.get(path)
    assert answer.status_code == 501
    assert "`admin`" in answer.json()["error"]
