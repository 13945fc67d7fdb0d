"""V2 over gRPC: protobuf messages to and from our types."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from serve_app.errors import InvalidArgument, TandemError, TooLarge
from serve_app.protocol import bounds, classification, raw
from serve_app.protocol.datatypes import BYTES, numpy_dtype
from serve_app.protocol.inference_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from serve_app.protocol.rest_codec import shape_of
from serve_app.protocol.tensors import (
    InferRequest,
    InferResponse,
    Parameters,
    RequestedOutput,
    Tensor,
)
from serve_app.protocol.wire import LARGE, Buffer, beginning, joined, split

# The field of InferTensorContents that carries a datatype. FP16 and BF16 have none.
_FIELD = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_RAW_INPUTS = ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_RAW_OUTPUTS = ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
_UNSUPPORTED = ("shared_memory_region",)


def parse(message: Any, data: bytes) -> Any:
    """Fill a protobuf message from the wire; InvalidArgument when the bytes aren't one."""
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise InvalidArgument(
            f"the message is not a valid inference.{message.DESCRIPTOR.name}"
        ) from None
    return message


def decode_request(data: Buffer) -> tuple[InferRequest, bool]:
    """A request, and whether its tensors came typed (the answer then goes out typed too)."""
    raws: Sequence[Buffer] = ()
    if len(data) >= LARGE:
        data, raws = split(data, _RAW_INPUTS)
    message = parse(ModelInferRequest(), bytes(data))
    raws = raws or message.raw_input_contents
    for name in ("model_name", "model_version"):
        bounds.check_name(getattr(message, name), name)
    inputs = tensors_of(message.inputs, raws, "input")
    bounds.check_count(message.outputs, bounds.MOST_TENSORS, "outputs")
    outputs = []
    for index, output in enumerate(message.outputs):
        if not output.name:
            raise InvalidArgument(f"outputs[{index}].name must be a non-empty string")
        bounds.check_name(output.name, f"outputs[{index}].name")
        parameters = parameters_of(output.parameters, f"output '{output.name}': parameters")
        asked = parameters.get(classification.KEY)
        many = 0 if asked is None else classification.count(asked, output.name, 1)
        outputs.append(RequestedOutput(output.name, classes=many))
    request = InferRequest(
        model=message.model_name,
        version=message.model_version,
        id=message.id,
        inputs=inputs,
        outputs=outputs or None,
        parameters=parameters_of(message.parameters, "parameters"),
    )
    return request, not raws


def dear(data: Buffer) -> int:
    """How many bytes of a request take time to decode: all but raw numbers, which stay as they are."""
    rest, raws = split(data, _RAW_INPUTS)
    return len(rest) + (sum(map(len, raws)) if b"BYTES" in rest else 0)


def addressed(data: Buffer, error: TandemError) -> InferRequest:
    """Of a request that can't be decoded: which one it is and for whom, as far as that can be read.

    Nothing is read of one whose fault is its size.
    """
    message = ModelInferRequest()
    try:
        if not isinstance(error, TooLarge):
            message.ParseFromString(split(data, _RAW_INPUTS)[0])
    except (DecodeError, InvalidArgument):
        message.Clear()
    return InferRequest(message.model_name, message.model_version, message.id, [])


def addressee(data: Buffer) -> InferRequest | None:
    """For which model it is, without decoding it; None where other things come first, which is rare."""
    found = beginning(data, ModelInferRequest.ID_FIELD_NUMBER)
    name = found.get(ModelInferRequest.MODEL_NAME_FIELD_NUMBER, b"").decode("utf-8", "replace")
    version = found.get(ModelInferRequest.MODEL_VERSION_FIELD_NUMBER, b"").decode("utf-8", "replace")
    return InferRequest(name, version, "", []) if name else None


def tensors_of(entries: Sequence[Any], raws: Sequence[Buffer], kind: str) -> list[Tensor]:
    """The tensors of a request (`input`) or an answer (`output`), raw or, without `raws`, typed."""
    bounds.check_count(entries, bounds.MOST_TENSORS, f"{kind}s")
    if raws and any(entry.contents.ListFields() for entry in entries):
        raise InvalidArgument(f"{kind}s come in raw_{kind}_contents or in contents, never in both")
    if raws and len(raws) != len(entries):
        raise InvalidArgument(
            f"raw_{kind}_contents must hold one entry per {kind} ({len(entries)}), got {len(raws)}"
        )
    tensors = []
    for index, entry in enumerate(entries):
        if not entry.name:
            raise InvalidArgument(f"{kind}s[{index}].name must be a non-empty string")
        bounds.check_name(entry.name, f"{kind}s[{index}].name")
        # One dimension more than may be, where there are too many: they may be millions.
        shape = shape_of(entry.shape[: bounds.MOST_DIMENSIONS + 1], entry.name)
        parameters = parameters_of(entry.parameters, f"tensor '{entry.name}': parameters")
        if raws:
            array = raw.decode(raws[index], entry.datatype, shape, entry.name)
        else:
            array = _typed(entry.contents, entry.datatype, shape, entry.name)
        tensors.append(Tensor(entry.name, entry.datatype, array, parameters))
    return tensors


def parameters_of(entries: Any, where: str) -> Parameters:
    """A map of InferParameter as plain values."""
    bounds.check_count(entries, bounds.MOST_PARAMETERS, where)
    parameters: Parameters = {}
    for key, entry in entries.items():
        bounds.check_name(key, f"{where}: a name")
        choice = entry.WhichOneof("parameter_choice")
        if choice is None:  # as null in JSON
            continue
        if key in _UNSUPPORTED:
            raise InvalidArgument(f"{where}.{key} is not supported by this server")
        parameters[key] = getattr(entry, choice)
    return parameters


def _typed(
    contents: InferTensorContents, datatype: str, shape: tuple[int, ...], name: str
) -> np.ndarray:
    dtype = numpy_dtype(datatype, name)
    field = _FIELD.get(datatype)
    if field is None:
        raise InvalidArgument(f"tensor '{name}': {datatype} must come in raw_input_contents")
    for present, _ in contents.ListFields():
        if present.name != field:
            raise InvalidArgument(f"tensor '{name}': {datatype} belongs in {field}, got {present.name}")
    values = getattr(contents, field)
    if len(values) != math.prod(shape):
        raise InvalidArgument(
            f"tensor '{name}': shape {list(shape)} takes {math.prod(shape)} elements, got {len(values)}"
        )
    if dtype == BYTES:
        array = np.empty(len(values), dtype=object)
        array[:] = list(values)
        return array.reshape(shape)
    if dtype.itemsize < 4 and dtype.kind in "iu":
        wide = np.array(values, dtype=np.int64)
        limits = np.iinfo(dtype)
        if wide.size and (wide.min() < limits.min or wide.max() > limits.max):
            raise InvalidArgument(f"tensor '{name}': a value is out of range for {datatype}")
        return wide.astype(dtype).reshape(shape)
    return np.array(values, dtype=dtype).reshape(shape)


def encode_response(response: InferResponse, typed: bool) -> list[Buffer]:
    """An answer's bytes in parts; raw unless the request came typed and all datatypes have a typed
    form."""
    message = ModelInferResponse(
        model_name=response.model, model_version=response.version, id=response.id
    )
    typed = typed and all(tensor.datatype in _FIELD for tensor in response.outputs)
    raws = []
    for tensor in response.outputs:
        entry = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.data.shape)
        if typed:
            values = getattr(entry.contents, _FIELD[tensor.datatype])
            values.extend(tensor.data.reshape(-1).tolist())
        else:
            raws.append(raw.encode(tensor.data))
    return joined(message.SerializeToString(), _RAW_OUTPUTS, raws)
