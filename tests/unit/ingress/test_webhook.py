"""A registry that says that there is a version: MLflow's signature, or the token."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from serve_app.releases.asked import Asked
from tests.unit.ingress.administered import BEARER, client
from tests.unit.waiting import until


@pytest.fixture
async def http(changes):
    async with client(changes) as made:
        yield made


def signed(body: bytes, secret="a-secret-of-some-length", moment=None, id="d-1") -> dict[str, str]:
    """As MLflow's registry signs: https://mlflow.org/docs/latest/ml/webhooks"""
    moment = str(moment if isinstance(moment, str) else int(moment or time.time()))
    mac = hmac.new(secret.encode(), f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "X-MLflow-Signature": f"v1,{base64.b64encode(mac).decode()}",
        "X-MLflow-Delivery-Id": id,
        "X-MLflow-Timestamp": moment,
    }


EVENT = json.dumps(
    {"entity": "model_version", "action": "created", "data": {"name": "reg", "version": "2"}}
).encode()
HOOK = "/v2/repository/webhook"


async def test_mlflow_says_that_there_is_a_version(http, changes):
    answer = await http.post(HOOK, content=EVENT, headers=signed(EVENT))
    assert (answer.status_code, answer.json()) == (202, {"model": "m"})
    await until(lambda: changes.asked)
    assert changes.asked[0][0] == Asked("load", "m")
    assert changes.asked[0][1].startswith("webhook")


async def test_anybody_else_comes_with_the_token(http, changes):
    assert (await http.post(HOOK, json={"model": "m"}, headers=BEARER)).status_code == 202
    assert (await http.post(HOOK, json={"model": "m"})).status_code == 401
    assert (await http.post(HOOK, json={"model": "nobody"}, headers=BEARER)).status_code == 404
    other = json.dumps({"entity": "registered_model", "action": "created", "data": {"name": "m"}})
    answer = await http.post(HOOK, content=other, headers=BEARER)
    assert (answer.status_code, answer.json()) == (200, {"model": None})
    await until(lambda: changes.asked)
    assert len(changes.asked) == 1


@pytest.mark.parametrize(
    "headers",
    [
        signed(EVENT, secret="another-secret-of-length"), signed(EVENT + b" "),
        signed(EVENT, moment=time.time() - 90_000), signed(EVENT, moment=time.time() + 90_000),
        {**signed(EVENT), "X-MLflow-Delivery-Id": "d-2"}, {**signed(EVENT), "X-MLflow-Timestamp": "now"},
        signed(EVENT, moment="soon"), signed(EVENT, moment="9" * 5000),
        {**signed(EVENT), "X-MLflow-Signature": "v1,AA"}, {**signed(EVENT), "X-MLflow-Signature": "v1"},
    ],
)  # fmt: skip
async def test_what_isnt_signed_rightly_or_is_old_does_nothing(http, changes, headers):
    assert (await http.post(HOOK, content=EVENT, headers=headers)).status_code == 401
    assert changes.asked == []
