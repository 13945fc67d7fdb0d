"""A model on KServe's Python API, as its documentation writes one: arrays through InferRequest."""

from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import InferInput, to_http_parameters
from kserve.utils.numpy_codec import from_np_dtype
from kserve.utils.utils import generate_uuid

from loadtests.hosted import latest
from serve_app.errors import InvalidArgument
from serve_app.protocol.datatypes import TO_NUMPY, encode_text
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.host import ModelHost


class HostedModel(Model):  # type: ignore[misc]
    """One of Tandem's hosted models."""

    def __init__(self, host: ModelHost) -> None:
        super().__init__(host.name)
        self._host = host
        self._version, self._description = latest(host)
        self.load()

    def retire(self) -> None:
        """Give its memory back, once running predictions are done. Blocks."""
        self._host.close()

    def get_input_types(self) -> list[dict[str, Any]]:
        """What its metadata says of the inputs."""
        return [_described(spec) for spec in self._description.inputs]

    def get_output_types(self) -> list[dict[str, Any]]:
        """What its metadata says of the outputs."""
        return [_described(spec) for spec in self._description.outputs]

    async def predict(
        self, payload: InferRequest | dict[str, Any], headers: dict[str, str] | None = None
    ) -> InferResponse | dict[str, Any]:
        """Arrays in, arrays out; KServe writes them raw or as JSON, by what the request asks for."""
        if isinstance(payload, dict):
            return await self._predict_v1(payload)
        inputs = {tensor.name: _array(tensor) for tensor in payload.inputs}
        parameters = to_http_parameters(payload.parameters) if payload.parameters else {}
        try:
            outputs = await self._host.predict(self._version, inputs, parameters)
        except InvalidArgument as error:
            raise InvalidInput(error.message) from error
        return InferResponse(
            response_id=payload.id or generate_uuid(),
            model_name=self.name,
            model_version=self._version,
            infer_outputs=[_output(name, array, payload) for name, array in outputs.items()],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )

    async def _predict_v1(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Rows of the one input; of several outputs, rows of objects."""
        (spec,) = self._description.inputs
        array = np.array(payload["instances"], dtype=TO_NUMPY[spec.datatype])
        inputs = {spec.name: encode_text(array) if spec.datatype == "BYTES" else array}
        outputs = await self._host.predict(self._version, inputs, {})
        columns = {name: array.tolist() for name, array in outputs.items()}
        if len(columns) == 1:
            return {"predictions": next(iter(columns.values()))}
        rows = zip(*columns.values(), strict=True)
        return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def _array(tensor: InferInput) -> np.ndarray:
    array: np.ndarray = tensor.as_numpy()
    return encode_text(array) if tensor.datatype == "BYTES" else array  # text in JSON is `str`


def _output(name: str, array: np.ndarray, request: InferRequest) -> InferOutput:
    output = InferOutput(name, list(array.shape), from_np_dtype(array.dtype), array)
    # For HTTP the response itself turns the array into bytes or a list, once; for gRPC it can't.
    if request.from_grpc:
        output.set_data_from_numpy(array, binary_data=request.use_binary_outputs)
    return output


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
