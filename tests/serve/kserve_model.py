"""A model server of KServe's own (its Python package) with a model class for ONNX or PyTorch.

For these formats KServe starts Triton or TorchServe, which no Python environment has. This is what its
documentation has users write for a format without a runtime. Run by the Python of `.venv-kserve`:
`kserve_model.py FORMAT INPUT OUTPUT…`, and the arguments of KServe's server.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.utils.utils import from_np_dtype


class Network(Model):
    def __init__(self, name: str, form: str, folder: Path, names: list[str]) -> None:
        super().__init__(name)
        self._input, *self._outputs = names
        self._run = getattr(self, f"_{form}")(folder)

    def _onnx(self, folder: Path) -> Any:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
        return lambda array: session.run(self._outputs, {self._input: array})

    def _torch(self, folder: Path) -> Any:
        import torch

        if (folder / "model.pt").exists():
            module: Any = torch.jit.load(str(folder / "model.pt"))
        else:
            module = torch.export.load(str(folder / "model.pt2")).module()

        def run(array: np.ndarray) -> list[np.ndarray]:
            with torch.no_grad():
                return [one.numpy() for one in module(torch.from_numpy(array))]

        return run

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        if not isinstance(payload, InferRequest):
            found = self._run(np.array(payload["instances"], np.float32))
            rows = zip(*(one.tolist() for one in found), strict=True)
            return {"predictions": [dict(zip(self._outputs, row, strict=True)) for row in rows]}
        found = self._run(np.array(payload.inputs[0].as_numpy(), np.float32))
        outputs = []
        for name, array in zip(self._outputs, found, strict=True):
            outputs.append(InferOutput(name, list(array.shape), from_np_dtype(array.dtype)))
            outputs[-1].set_data_from_numpy(array, binary_data=payload.use_binary_outputs)
        return InferResponse(
            payload.id or "1",
            self.name,
            outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser], conflict_handler="resolve")
    parser.add_argument("form")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--model_dir", type=Path)
    said = parser.parse_args()
    network = Network(said.model_name, said.form, said.model_dir, said.names)
    network.load()
    ModelServer(http_port=said.http_port, grpc_port=said.grpc_port).start([network])
