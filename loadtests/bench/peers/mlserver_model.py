"""A model on MLServer's API: InferenceRequest to InferenceResponse, through its own NumPy codec."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import MLServerError
from mlserver.settings import ModelSettings
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataTensor,
    RequestInput,
    ResponseOutput,
    TensorData,
)

from loadtests.hosted import latest
from serve_app.errors import InvalidArgument
from serve_app.protocol.datatypes import encode_text, v2_datatype
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.host import ModelHost


class HostedModel(MLModel):  # type: ignore[misc]
    """One of Tandem's hosted models, handed over as the parameter `host`."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self._host: ModelHost = settings.parameters.extra["host"]
        self._version, description = latest(self._host)
        self.inputs = [_described(spec) for spec in description.inputs]
        self.outputs = [_described(spec) for spec in description.outputs]

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Arrays in, arrays out; MLServer writes them raw when a gRPC request came raw."""
        inputs = {tensor.name: _array(tensor) for tensor in payload.inputs}
        parameters = payload.parameters.model_extra if payload.parameters else None
        try:
            outputs = await self._host.predict(self._version, inputs, parameters or {})
        except InvalidArgument as error:
            raise MLServerError(error.message) from error
        return InferenceResponse(
            model_name=self.name,
            model_version=self._version,
            outputs=[_output(name, array) for name, array in outputs.items()],
        )


def _array(tensor: RequestInput) -> np.ndarray:
    if tensor.datatype == "BYTES":  # the codec would cut every text to one length
        return encode_text(np.array(tensor.data.root, dtype=object).reshape(tensor.shape))
    array: np.ndarray = NumpyCodec.decode_input(tensor)
    return array


def _output(name: str, array: np.ndarray) -> ResponseOutput:
    # Not the codec's: it gives one-dimensional outputs a second dimension, and validates every
    # number once more. MLServer constructs what it reads from gRPC in this way too.
    return ResponseOutput.model_construct(
        name=name,
        shape=list(array.shape),
        datatype=v2_datatype(array),
        data=TensorData.model_construct(root=array.ravel().tolist()),
    )


def _described(spec: TensorSpec) -> MetadataTensor:
    return MetadataTensor(name=spec.name, datatype=spec.datatype, shape=list(spec.shape))
