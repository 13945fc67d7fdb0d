"""TensorFlow's SavedModels, on the CPU or the GPU that the replica has.

A SavedModel is a program: its graph may read and write files. So it is loaded where the configuration
says `trusted` only. What it takes and gives is what its signature says.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import ModelConfig, TensorflowOptions
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.protocol.datatypes import BYTES, v2_datatype
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.runtimes.base import declared, need
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.model_files import model_file

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2"}  # its own banner


class SavedModelRuntime:
    """One signature of one model. TensorFlow's functions may be called from several threads."""

    def __init__(self, config: ModelConfig, folder: Path | None, gpu: bool = False) -> None:
        self._config, self._folder, self._gpu = config, folder, gpu
        self._options = TensorflowOptions.model_validate(config.options)
        self._tf: Any = None
        self._model: Any = None
        self._run: Any = None
        self._about = VersionDescription([], [])

    def load(self) -> None:
        """Read the model, and what its signature says."""
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        assert self._folder is not None  # the configuration requires storageUri
        folder = model_file("tensorflow", self._folder).parent
        if not self._config.trusted:
            raise ConfigError(
                f"{folder} is not loaded: a SavedModel is a program that can read and write any file of "
                "its process. Convert it with tf2onnx and serve model.onnx; or set `trusted: true` for "
                "this model, where you trust whoever can write that folder"
            )
        tf = self._tf = need("tensorflow", "tensorflow")
        self._devices(tf)
        try:
            with LOADING:
                self._model = tf.saved_model.load(str(folder))
        except Exception as error:  # TensorFlow raises its own types, and OSError
            raise ConfigError(f"{folder}: TensorFlow can't load it: {error}") from error
        signatures, name = dict(self._model.signatures), self._options.signature
        if name not in signatures:
            has = ", ".join(sorted(signatures)) or "none"
            raise ConfigError(f"{folder}: no signature '{name}', there are: {has}")
        self._run = signatures[name]
        self._about = self._described()

    def _devices(self, tf: Any) -> None:
        try:
            if not self._gpu:
                tf.config.set_visible_devices([], "GPU")
            if self._options.threads:
                tf.config.threading.set_intra_op_parallelism_threads(self._options.threads)
        except RuntimeError:  # it computes already: as it was told for the model before
            pass
        if self._gpu and not tf.config.list_physical_devices("GPU"):
            raise ConfigError("num_gpus is set, but TensorFlow sees no GPU here (a CPU build?)")

    def _described(self) -> VersionDescription:
        said = declared(self._config)
        examples = {spec.name: spec.example for spec in said.inputs}
        _, inputs = self._run.structured_input_signature
        found = VersionDescription(
            [_spec(name, one, examples.get(name)) for name, one in sorted(inputs.items())],
            [_spec(name, one) for name, one in sorted(self._run.structured_outputs.items())],
        )
        if said.outputs:
            wanted = [spec.name for spec in said.outputs]
            have = {spec.name: spec for spec in found.outputs}
            if missing := [name for name in wanted if name not in have]:
                raise ConfigError(
                    f"outputs: '{missing[0]}' is not the model's, which has {', '.join(have)}"
                )
            found.outputs = [have[name] for name in wanted]
        return found

    def warm_up(self, inputs: Arrays) -> None:
        """Not where nobody knows what an input looks like."""
        specs = self._about.inputs
        if not any((spec.any_rank or spec.datatype == "BYTES") and not spec.example for spec in specs):
            self.predict(inputs, {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One call of the signature."""
        tf = self._tf
        feed = {name: tf.constant(array) for name, array in inputs.items()}
        try:
            found = self._run(**feed)
        except tf.errors.InvalidArgumentError as error:  # no image where one was expected, say
            raise InvalidArgument(f"TensorFlow: {str(error.message).splitlines()[0][:500]}") from error
        return {spec.name: _array(found[spec.name]) for spec in self._about.outputs}

    def metadata(self) -> VersionDescription:
        return self._about

    def close(self) -> None:
        self._model = self._run = None


def _spec(name: str, one: Any, example: list[Any] | None = None) -> TensorSpec:
    dtype = one.dtype.base_dtype
    datatype = "BYTES" if dtype.name == "string" else v2_datatype(np.empty(0, dtype.as_numpy_dtype))
    if datatype is None:
        raise ConfigError(f"tensor '{name}' is a {dtype.name}, which V2 can't carry")
    if one.shape.rank is None:
        return TensorSpec(name, datatype, (-1,), example=example, any_rank=True)
    shape = tuple(-1 if size is None else int(size) for size in one.shape)
    return TensorSpec(name, datatype, shape, example=example)


def _array(tensor: Any) -> np.ndarray:
    array: np.ndarray = tensor.numpy()
    if array.dtype == BYTES or array.dtype.kind in "SO":
        return np.asarray(array, dtype=object)
    return array
