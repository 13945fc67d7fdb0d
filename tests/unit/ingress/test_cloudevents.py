"""V1 in CloudEvents, as KServe's server takes and answers them; read by the SDK where there is one."""

import json
from datetime import datetime
from uuid import UUID

import pytest

from tests.unit.ingress.rest_bodies import error

PREDICT = "/v1/models/m:predict"
ROWS = {"instances": [[1, 2]]}
ANSWER = {"predictions": [{"y": [12, 22], "z": [1, 2]}]}
ABOUT = {"specversion": "1.0", "id": "36077800-0c23", "source": "io.kserve.test", "type": "test.rows"}
BINARY = {f"ce-{name}": value for name, value in ABOUT.items()}
STRUCTURED = {"content-type": "application/cloudevents+json"}


def check(about: dict[str, str]) -> None:
    """What KServe's server says of its answers."""
    assert about["specversion"] == "1.0"
    assert about["source"] == "io.kserve.inference.m"
    assert about["type"] == "io.kserve.inference.response"
    assert UUID(about["id"])
    assert datetime.fromisoformat(about["time"]).tzinfo is not None


async def test_binary(http):
    answer = await http.post(PREDICT, json=ROWS, headers=BINARY)
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert answer.headers["content-type"] == "application/json"
    check({name: answer.headers[f"ce-{name}"] for name in (*ABOUT, "time")})


@pytest.mark.parametrize(
    "kind", ["application/cloudevents+json", "application/cloudevents+json; charset=UTF-8"]
)
@pytest.mark.parametrize(
    "more", [{}, {"time": "2026-01-01T00:00:00Z", "subject": None, "traceparent": "x"}]
)
async def test_structured(http, kind, more):
    event = {**ABOUT, **more, "data": ROWS}
    answer = await http.post(PREDICT, content=json.dumps(event), headers={"content-type": kind})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/cloudevents+json"
    about = answer.json()
    assert about.pop("data") == ANSWER
    check(about)
    assert not any(name.startswith("ce-") for name in answer.headers)


async def test_structured_with_data_in_base64(http):
    event = {**ABOUT, "data_base64": "eyJpbnN0YW5jZXMiOiBbWzEsIDJdXX0="}
    answer = await http.post(PREDICT, content=json.dumps(event), headers=STRUCTURED)
    assert answer.json()["data"] == ANSWER


async def test_a_structured_event_under_the_name_of_plain_json(http):
    answer = await http.post(PREDICT, json={**ABOUT, "data": ROWS})
    assert (answer.json(), answer.headers["content-type"]) == (ANSWER, "application/json")


async def test_what_has_not_all_attributes_is_no_event(http):
    headers = {name: value for name, value in BINARY.items() if name != "ce-id"}
    answer = await http.post(PREDICT, json=ROWS, headers=headers)
    assert answer.json() == ANSWER
    assert "ce-id" not in answer.headers


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ([], "a structured CloudEvent is a JSON object"),
        ({"data": ROWS}, "CloudEvent: id must be"),
        ({**ABOUT, "source": "", "data": ROWS}, "CloudEvent: source must be"),
        ({**ABOUT, "type": 5, "data": ROWS}, "CloudEvent: type must be"),
        ({**ABOUT, "specversion": "2.0", "data": ROWS}, "specversion must be 1.0 or 0.3, got '2.0'"),
        (ABOUT, "data: required"),
        ({**ABOUT, "data": None}, "data: required"),
        ({**ABOUT, "data_base64": "?"}, "data_base64 is not valid base64"),
        ({**ABOUT, "data_base64": 5}, "data_base64 is not valid base64"),
        ({**ABOUT, "data": [1]}, "JSON object with instances"),
        ({**ABOUT, "data": {}}, "exactly one of"),
    ],
)
async def test_wrong_structured_events(http, event, says):
    answer = await http.post(PREDICT, content=json.dumps(event), headers=STRUCTURED)
    assert says in error(answer, 400)


async def test_wrong_binary_events(http):
    answer = await http.post(PREDICT, json=ROWS, headers={**BINARY, "ce-specversion": "7"})
    assert "specversion must be 1.0 or 0.3, got '7'" in error(answer, 400)
    assert "exactly one of" in error(await http.post(PREDICT, json={}, headers=BINARY), 400)
