"""Models of rows and columns behind the data plane and the codecs of all four ways to ask them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import InlineModel, parse
from serve_app.core.call import NO_HEADERS, Call
from serve_app.core.dataplane import DataPlane
from serve_app.protocol import grpc_codec, rest_codec, v1_codec
from serve_app.protocol.inference_pb2 import ModelInferRequest, ModelInferResponse
from serve_app.runtimes.host import ModelHost
from tests.unit.planes import plane


class Served:
    """One model, loaded from a folder."""

    def __init__(self, folder: Path | str, model_format: str, **more: Any) -> None:
        config = {"name": "m", "modelFormat": model_format, "storageUri": str(folder) or None, **more}
        self.config = parse(InlineModel, config)
        self.troubles: asyncio.Queue[str] = asyncio.Queue()  # that the host tells of
        self.host = ModelHost(self.config, on_trouble=self.troubles.put_nowait)
        self.host.load()
        self.plane: DataPlane = plane()
        model = self.plane.directory.expect("m", "")
        about = self.host.describe(self.config.batching, 1)
        self.version = model.serve("", about, self.host.targets(), 1) or model.pick()
        self.signature = model.pick().signature

    def close(self) -> None:
        self.host.close()

    def about(self) -> dict[str, Any]:
        return self.plane.model_metadata("m")

    async def v1(self, body: Any) -> Any:
        """The value of `predictions`."""
        request, by_row = v1_codec.decode_request(json.loads(json.dumps(body)), "m", self.signature)
        answer = await self.plane.infer(Call(request, NO_HEADERS, "http"))
        return json.loads(v1_codec.encode_response(answer, by_row))["predictions"]

    async def v2(self, inputs: list[dict[str, Any]], outputs: tuple[str, ...] = (), **more: Any) -> dict:
        """Outputs by name, as `{datatype, shape, data}`."""
        asked = [{"name": name} for name in outputs]
        body = {"inputs": inputs, **({"outputs": asked} if asked else {}), **more}
        request = rest_codec.decode_request(json.dumps(body).encode(), None, "m", "")
        answer = await self.plane.infer(Call(request, NO_HEADERS, "http"))
        parts, _ = rest_codec.encode_response(answer, request)
        found = json.loads(b"".join(parts))["outputs"]
        return {one.pop("name"): one for one in found}

    async def grpc(self, name: str, array: np.ndarray, *outputs: str) -> ModelInferResponse:
        message = ModelInferRequest(model_name="m")
        entry = message.inputs.add(name=name, datatype="FP32", shape=array.shape)
        entry.contents.fp32_contents.extend(array.ravel().tolist())
        for output in outputs:
            message.outputs.add(name=output)
        request, typed = grpc_codec.decode_request(message.SerializeToString())
        answer = await self.plane.infer(Call(request, NO_HEADERS, "grpc"))
        return ModelInferResponse.FromString(b"".join(grpc_codec.encode_response(answer, typed)))


def matrix(rows: Any, name: str = "input-0", datatype: str = "FP64") -> dict[str, Any]:
    array = np.array(rows)
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(array.shape),
        "data": array.ravel().tolist(),
    }


def column(name: str, datatype: str, values: list[Any], deep: bool = False) -> dict[str, Any]:
    """As KServe's clients send it, or MLServer's codec (`deep`)."""
    shape = [len(values), 1] if deep else [len(values)]
    return {"name": name, "datatype": datatype, "shape": shape, "data": values}


def skops_model(folder: Path, estimator: Any) -> Path:
    import skops.io  # with all of sklearn and PyTorch, which not all need who import this module

    folder.mkdir(exist_ok=True)
    skops.io.dump(estimator, folder / "model.skops")
    return folder
