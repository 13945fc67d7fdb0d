"""ONNX models (`model.onnx`) on onnxruntime, GPU when the replica has one."""

from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import ModelConfig, OnnxOptions
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.repository.versions import only_file
from serve_app.runtimes.base import declared, need

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


class OnnxRuntime:
    """One InferenceSession. Its `run` may be called from several threads."""

    def __init__(self, config: ModelConfig, folder: Path | None, gpu: bool = False) -> None:
        self._config = config
        self._folder = folder
        self._gpu = gpu
        self._options = OnnxOptions.model_validate(config.options)
        self._session: Any = None

    def load(self) -> None:
        """Read `model.onnx` with the providers that this replica may use."""
        ort = need("onnxruntime", "onnx")
        assert self._folder is not None  # the configuration requires storageUri
        path = only_file(self._folder, "model.onnx")
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = self._options.threads
        providers = ["CPUExecutionProvider"]
        if self._gpu:
            if "CUDAExecutionProvider" not in ort.get_available_providers():
                raise ConfigError(
                    "num_gpus is set, but this onnxruntime has no CUDAExecutionProvider; "
                    "install onnxruntime-gpu"
                )
            providers.insert(0, "CUDAExecutionProvider")
        try:
            self._session = ort.InferenceSession(str(path), settings, providers=providers)
        except Exception as error:  # onnxruntime raises its own types, sometimes RuntimeError
            raise ConfigError(f"{path}: onnxruntime can't load it: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]

    def warm_up(self, inputs: Arrays) -> None:
        self.predict(inputs, {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One `run`; strings cross as `str`, which is onnxruntime's form."""
        feed = {
            name: np.array([item.decode() for item in array.flat], dtype=object).reshape(array.shape)
            if array.dtype == object
            else array
            for name, array in inputs.items()
        }
        return dict(zip(self._outputs, self._session.run(None, feed), strict=True))

    def metadata(self) -> VersionDescription:
        """The graph's own names, types and shapes, with the configuration's examples."""
        said = declared(self._config)
        examples = {spec.name: spec.example for spec in said.inputs}
        inputs = [_spec(node) for node in self._session.get_inputs()]
        outputs = [_spec(node) for node in self._session.get_outputs()]
        for side, specs, configured in (
            ("inputs", inputs, said.inputs),
            ("outputs", outputs, said.outputs),
        ):
            _compare(side, specs, configured)
        for spec in inputs:
            spec.example = examples.get(spec.name)
        return VersionDescription(inputs, outputs)

    def close(self) -> None:
        self._session = None


def _spec(node: Any) -> TensorSpec:
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        raise ConfigError(f"tensor '{node.name}' is a {node.type}, which V2 can't carry")
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return TensorSpec(node.name, datatype, shape)


def _compare(side: str, graph: list[TensorSpec], configured: list[TensorSpec]) -> None:
    """A declaration that contradicts the graph is refused at start."""
    have = {spec.name: spec for spec in graph}
    for spec in configured:
        real = have.get(spec.name)
        if real is None:
            raise ConfigError(f"{side}: '{spec.name}' is not in the graph, which has {', '.join(have)}")
        if (real.datatype, len(real.shape)) != (spec.datatype, len(spec.shape)):
            raise ConfigError(
                f"{side}: '{spec.name}' is {real.datatype} {list(real.shape)} in the graph, "
                f"declared {spec.datatype} {list(spec.shape)}"
            )
