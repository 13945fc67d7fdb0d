"""ONNX models (`model.onnx`) on onnxruntime, GPU when the replica has one."""

import logging
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig, OnnxOptions
from serve_app.errors import ConfigError
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.repository.versions import only_file
from serve_app.runtimes import onnx_values as values
from serve_app.runtimes.base import FILES, declared, need
from serve_app.runtimes.not_a_model import PICKLE, what_it_is

log = logging.getLogger("tandem")


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
        path = only_file(self._folder, *FILES["onnx"])
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
            raise ConfigError(f"{path}: {_why(path, error)}") from error
        self._value = ort.OrtValue

    def warm_up(self, inputs: Arrays) -> None:
        """Not where the graph doesn't say what shape an input has, and nobody gave an example."""
        specs = self._served.inputs
        if not any(spec.any_rank and not spec.optional and not spec.example for spec in specs):
            self.predict(inputs, {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One `run`; strings cross as `str`, which is onnxruntime's form."""
        names = [spec.name for spec in self._served.outputs]
        feed: dict[str, Any] = {
            name: values.as_text(array, name) if array.dtype == BYTES else array
            for name, array in inputs.items()
        }
        if self._by_values:
            feed = {name: values.to_value(self._value, array) for name, array in feed.items()}
            found = map(values.from_value, self._session.run_with_ort_values(names, feed))
        else:
            found = map(values.from_run, self._session.run(names, feed))
        return dict(zip(names, found, strict=True))

    def metadata(self) -> VersionDescription:
        """The graph's own names, types and shapes, with the configuration's examples."""
        return self._served

    def close(self) -> None:
        self._session = None

    @cached_property
    def _served(self) -> VersionDescription:
        served = VersionDescription(self._served_inputs(), self._served_outputs())
        # numpy has a type for each, but for BF16.
        self._by_values = values.BF16 in {spec.datatype for spec in (*served.inputs, *served.outputs)}
        if self._by_values and "BYTES" in {spec.datatype for spec in served.inputs}:
            raise ConfigError("onnxruntime takes no strings beside tensors of BF16")
        return served

    def _served_inputs(self) -> list[TensorSpec]:
        """All that the graph needs, and weights that it lets callers replace."""
        needed = [_carried(node, values.input_spec(node)) for node in self._session.get_inputs()]
        extra: list[TensorSpec] = []
        if self._config.batching is None:  # the rows of a batch have one set of weights
            found = map(values.weight_spec, self._session.get_overridable_initializers())
            extra = [spec for spec in found if spec]
        said = declared(self._config).inputs
        examples = {spec.name: spec.example for spec in said}
        specs = _agreed("inputs", [*needed, *extra], said)
        return [replace(spec, example=examples.get(spec.name)) for spec in specs]

    def _served_outputs(self) -> list[TensorSpec]:
        """Those that the configuration names, or all that V2 can carry; what nobody asks for may be
        anything."""
        said = declared(self._config).outputs
        nodes = {node.name: node for node in self._session.get_outputs()}
        specs = {name: values.output_spec(node) for name, node in nodes.items()}
        if said:
            for name in (spec.name for spec in said if spec.name in nodes):
                specs[name] = _carried(nodes[name], specs[name])
        served = [spec for spec in specs.values() if spec]
        if not served:
            _carried(*next((node, specs[name]) for name, node in nodes.items()))
        agreed = _agreed("outputs", served, said)
        if said:
            wanted = {spec.name for spec in said}
            return [spec for spec in agreed if spec.name in wanted]
        for name in (name for name, spec in specs.items() if spec is None):
            log.warning(
                "model %s: output '%s' is left out: it is a %s, which V2 can't carry",
                self._config.name, name, nodes[name].type,
            )  # fmt: skip
        return agreed


def _why(path: Path, error: Exception) -> str:
    if what := what_it_is(path):
        hint = "; export the model as ONNX, one of scikit-learn's with skl2onnx.to_onnx"
        return what + (hint if what == PICKLE else "")
    cut = "; it was cut off, or is no ONNX model" if "INVALID_PROTOBUF" in str(error) else ""
    return f"onnxruntime can't load it: {error}{cut}"


def _carried(node: Any, spec: TensorSpec | None) -> TensorSpec:
    if spec is None:
        hint = "; skl2onnx makes a tensor of it with zipmap=False" if "map(" in node.type else ""
        raise ConfigError(f"tensor '{node.name}' is a {node.type}, which V2 can't carry{hint}")
    return spec


def _agreed(side: str, graph: list[TensorSpec], configured: list[TensorSpec]) -> list[TensorSpec]:
    """The graph's, with declared shapes where it has none; a declaration may not contradict it."""
    have = {spec.name: spec for spec in graph}
    for spec in configured:
        real = have.get(spec.name)
        if real is None:
            raise ConfigError(f"{side}: '{spec.name}' is not in the graph, which has {', '.join(have)}")
        if real.datatype != spec.datatype or not (real.any_rank or len(real.shape) == len(spec.shape)):
            raise ConfigError(
                f"{side}: '{spec.name}' is {real.datatype} {list(real.shape)} in the graph, "
                f"declared {spec.datatype} {list(spec.shape)}"
            )
        if real.any_rank:
            have[spec.name] = replace(real, shape=spec.shape, any_rank=False)
    return list(have.values())
