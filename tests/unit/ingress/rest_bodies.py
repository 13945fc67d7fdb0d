"""What the REST tests send, and how errors must look."""

import httpx

INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
BODY = {"id": "abc", "inputs": [INPUT]}
INFER = "/v2/models/m/infer"


def error(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    return answer.json()["error"]
