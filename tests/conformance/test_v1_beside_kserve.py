"""V1 requests to KServe's own server and to ours, over a model that answers its rows: equal answers."""

import json
import subprocess

import httpx
import pytest

from serve_app.config import Limits
from serve_app.ingress.rest import RestApp
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.server import ROOT
from tests.unit.planes import Echo, plane, served

THEIRS = """
import json
import sys
import warnings

import fastapi
from fastapi.testclient import TestClient
from kserve import Model, ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
from kserve.utils.utils import get_predict_input, get_predict_response

warnings.simplefilter("ignore")


class Rows(Model):
    def predict(self, payload, headers=None, response_headers=None):
        return get_predict_response(payload, get_predict_input(payload), self.name)


model, models = Rows("m"), ModelRepository()
model.ready = True
models.update(model)
app = fastapi.FastAPI()
register_v1_endpoints(app, DataPlane(models), ModelRepositoryExtension(models))
client = TestClient(app)
for body in json.loads(sys.argv[1]):
    answer = client.post("/v1/models/m:predict", json=body)
    print("ANSWER", json.dumps([answer.status_code, answer.json()]))
"""
BODIES = [
    {"instances": []},
    {"inputs": []},
    {"instances": [[1.5, 2.0]]},
    {"inputs": [[1.5, 2.0], [3.0, 4.0]]},
]


@pytest.fixture(scope="module")
def theirs() -> list[object]:
    done = subprocess.run(
        [ROOT / ".venv-kserve" / "bin" / "python", "-c", THEIRS, json.dumps(BODIES)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    return [json.loads(line.removeprefix("ANSWER ")) for line in lines]


def test_no_rows_are_no_predictions(theirs: list[object]) -> None:
    assert theirs[:2] == [[200, {"predictions": []}]] * 2


@pytest.mark.parametrize("at", range(len(BODIES)), ids=[json.dumps(body) for body in BODIES])
async def test_the_same_answer(theirs: list[object], at: int) -> None:
    spec = TensorSpec("x", "FP32", (-1, 2))
    made = plane()
    served(made, backend=Echo(), about=VersionDescription([spec], [spec]))
    transport = httpx.ASGITransport(RestApp(made, Limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        answer = await client.post("/v1/models/m:predict", json=BODIES[at])
    assert [answer.status_code, answer.json()] == theirs[at]
