"""The transformer of docs/kserve.md, run as it stands: images before a model of numbers."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from serve_app.config import Limits
from serve_app.core.graphs.transformers import Transformers
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.transformer import KServeTransformer
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.ingress.test_transformers import Kept, entry
from tests.unit.planes import served

PAGE = (Path(__file__).parents[3] / "docs/kserve.md").read_text()
ABOUT = VersionDescription([TensorSpec("pixels", "FP32", (-1, 64))], [TensorSpec("mean", "FP32", (-1,))])


class Mean:
    """A model of numbers."""

    async def predict(self, version, inputs, parameters):
        return {"mean": inputs["pixels"].mean(1)}


@pytest.fixture
async def asked(the_plane, tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "page_pixels.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    served(the_plane, "m-numbers", backend=Mean(), about=ABOUT, versions=("1",))
    spawn = Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    made.configure([entry("page_pixels", "pictures", "Pixels", predictor="m-numbers")])
    await spawn.done()
    assert made._served["pictures"].reason_of_its_own == ""
    yield the_plane
    made.configure([])


def png(shade: int) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(np.full((20, 30), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def text(shade: int) -> str:
    return base64.b64encode(png(shade)).decode()


async def test_v1(asked, http):
    body = {"instances": [{"b64": text(160)}, {"b64": text(16)}]}
    found = await http.post("/v1/models/pictures:predict", json=body)
    assert found.json() == {"predictions": [10.0, 1.0]}


async def test_v2_in_json(asked, http):
    tensor = {"name": "files", "datatype": "BYTES", "shape": [1], "data": [text(160)]}
    found = await http.post("/v2/models/pictures/infer", json={"inputs": [tensor]})
    assert found.json()["outputs"][0]["data"] == [10.0]


@pytest.mark.parametrize("data", [png(160), text(160).encode()])
async def test_grpc(asked, data):
    message = pb.ModelInferRequest(model_name="pictures")
    message.inputs.add(name="files", datatype="BYTES", shape=[1]).contents.bytes_contents.append(data)
    answer = await Servicer(asked, lambda: Limits()).ModelInfer(message.SerializeToString(), Context())
    found = pb.ModelInferResponse.FromString(answer.SerializeToString())
    assert [*found.outputs[0].contents.fp32_contents] == [10]


@pytest.mark.parametrize("b64", ["?", base64.b64encode(b"no image").decode()])
async def test_what_is_no_image(asked, http, b64):
    found = await http.post("/v1/models/pictures:predict", json={"instances": [{"b64": b64}]})
    assert (found.status_code, found.json()) == (
        400,
        {"error": "expected an image, got something else"},
    )
