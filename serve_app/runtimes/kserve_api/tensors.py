"""Requests and answers of V2 by the names and methods that KServe gives them."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from serve_app.protocol.datatypes import BYTES, TO_NUMPY, v2_datatype
from serve_app.runtimes.kserve_api.errors import InferenceError, InvalidInput


class _Named:
    """A tensor. Its values are a list, flat or nested, or, where an array made it, found on demand."""

    def __init__(
        self,
        name: str,
        shape: list[int],
        datatype: str,
        data: Any = None,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.datatype = name, datatype.upper()
        self.shape, self.parameters = shape, parameters
        self._data: Any = data
        self._array: np.ndarray | None = None

    @classmethod
    def of(cls, name: str, datatype: str, array: np.ndarray) -> Self:
        """One with these values."""
        found = cls(name, list(array.shape), datatype)
        found._array = array
        return found

    @property
    def data(self) -> Any:
        if self._data is None and self._array is not None:
            self._data = self._array.ravel().tolist()
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        self._data, self._array = data, None

    def as_numpy(self) -> np.ndarray:
        if self.datatype not in TO_NUMPY:
            raise InvalidInput(f"invalid datatype {self.datatype} in the input")
        if self._array is not None:
            return self._array
        return np.array(self._data, TO_NUMPY[self.datatype]).reshape(self.shape)

    def as_string(self) -> list[Any]:
        if self.datatype != "BYTES":
            raise InvalidInput(f"invalid datatype {self.datatype} in the input")
        return [one.decode() if isinstance(one, bytes) else one for one in self.as_numpy().ravel()]

    def set_data_from_numpy(self, array: np.ndarray, binary_data: bool = True) -> None:
        """`binary_data` is how KServe sends it; here nothing is sent."""
        if not isinstance(array, np.ndarray):
            raise InferenceError("input_tensor must be a numpy array")
        datatype = "BYTES" if array.dtype.kind in "OSU" else v2_datatype(array)
        if datatype != self.datatype or list(array.shape) != list(self.shape):
            raise InferenceError(
                f"got a numpy array of {datatype} {list(array.shape)}, "
                f"expected {self.datatype} {list(self.shape)}"
            )
        self._data, self._array = None, array

    def to_dict(self) -> dict[str, Any]:
        found = {"name": self.name, "shape": list(self.shape), "datatype": self.datatype}
        return found | {"data": self.as_numpy().ravel().tolist()}


class InferInput(_Named):
    """An input."""


class InferOutput(_Named):
    """An output."""


class RequestedOutput:
    """An output that a client asks for."""

    def __init__(self, name: str, parameters: dict[str, Any] | None = None) -> None:
        self.name, self.parameters = name, parameters


class InferRequest:
    """A request."""

    def __init__(
        self,
        model_name: str,
        infer_inputs: list[InferInput],
        request_id: str | None = None,
        raw_inputs: Any = None,
        from_grpc: bool = False,
        parameters: dict[str, Any] | None = None,
        request_outputs: list[RequestedOutput] | None = None,
        model_version: str | None = None,
    ) -> None:
        if raw_inputs:
            raise InferenceError("raw_inputs are bytes as gRPC has them: give data, or an array")
        self.id, self.model_name, self.model_version = request_id, model_name, model_version
        self.inputs, self.request_outputs = infer_inputs, request_outputs
        self.from_grpc, self.parameters = from_grpc, parameters

    def get_input_by_name(self, name: str) -> InferInput | None:
        return next((one for one in self.inputs if one.name == name), None)

    def as_dataframe(self) -> Any:
        import pandas  # the user's, who asks for one

        return pandas.DataFrame({one.name: one.as_numpy().ravel() for one in self.inputs})


class InferResponse:
    """An answer."""

    def __init__(
        self,
        response_id: str | None,
        model_name: str,
        infer_outputs: list[InferOutput],
        model_version: str | None = None,
        raw_outputs: Any = None,
        from_grpc: bool = False,
        parameters: dict[str, Any] | None = None,
        use_binary_outputs: bool = False,
        requested_outputs: list[RequestedOutput] | None = None,
    ) -> None:
        if raw_outputs:
            raise InferenceError("raw_outputs are bytes as gRPC has them: give data, or an array")
        self.id, self.model_name, self.model_version = response_id, model_name, model_version
        self.outputs, self.from_grpc, self.parameters = infer_outputs, from_grpc, parameters

    @classmethod
    def from_rest(cls, response: Mapping[str, Any]) -> "InferResponse":
        """Of V2's JSON."""
        outputs = [
            InferOutput(one["name"], list(one["shape"]), one["datatype"], one["data"])
            for one in response["outputs"]
        ]
        return cls(response.get("id"), response.get("model_name", ""), outputs)

    def get_output_by_name(self, name: str) -> InferOutput | None:
        return next((one for one in self.outputs if one.name == name), None)


def plain(array: np.ndarray, as_text: bool) -> np.ndarray:
    """BYTES as KServe's server has them: text where JSON brought it."""
    if not as_text or array.dtype != BYTES:
        return array
    found = np.empty(array.shape, dtype=object)
    found.ravel()[:] = [_text(one) for one in array.flat]
    return found


def _text(one: bytes) -> str | bytes:
    try:
        return one.decode()
    except UnicodeDecodeError:
        return one
