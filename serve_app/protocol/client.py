"""The client's side of V2: requests encoded, answers decoded, as JSON, binary tensors and protobuf.

Sending is somebody else's: this knows bytes alone.
"""

from typing import Any

import orjson

from serve_app.errors import InvalidArgument
from serve_app.protocol import elements, raw, rest_codec
from serve_app.protocol.datatypes import as_v2_array
from serve_app.protocol.grpc_codec import parse, tensors_of
from serve_app.protocol.inference_pb2 import ModelInferRequest, ModelInferResponse
from serve_app.protocol.tensors import Arrays, InferRequest, InferResponse, Parameters
from serve_app.protocol.wire import LARGE, joined, split

LENGTH = "Inference-Header-Content-Length"
GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"
_RAW_INPUTS = ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_RAW_OUTPUTS = ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER


def request(model: str, inputs: Arrays, id: str = "", *, binary_output: bool = False) -> InferRequest:
    """Arrays as a request for all outputs of a model's version of its choice; text is BYTES."""
    tensors = rest_codec.tensors_from({name: as_v2_array(inputs[name]) for name in inputs}, [*inputs])
    return InferRequest(model, "", id, tensors, binary_output=binary_output)


def http_path(model: str, version: str = "") -> str:
    """Of the URL."""
    return f"/v2/models/{model}{f'/versions/{version}' if version else ''}/infer"


def http_headers(json_length: int | None) -> dict[str, str]:
    """What a body of `encode_http` is sent with."""
    if json_length is None:
        return {"Content-Type": "application/json"}
    return {"Content-Type": "application/octet-stream", LENGTH: str(json_length)}


def encode_http(asked: InferRequest, *, binary: bool = False) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON where the inputs follow it as `binary` tensors."""
    message: dict[str, Any] = {"id": asked.id} if asked.id else {}
    parameters = asked.parameters | ({"binary_data_output": True} if asked.binary_output else {})
    if parameters:
        message["parameters"] = parameters
    if asked.outputs is not None:
        message["outputs"] = [
            {"name": output.name, "parameters": {"binary_data": output.binary}}
            for output in asked.outputs
        ]
    message["inputs"], buffers = [], []
    for tensor in asked.inputs:
        entry: dict[str, Any] = {
            "name": tensor.name,
            "shape": tensor.data.shape,
            "datatype": tensor.datatype,
        }
        if binary:
            buffers.append(raw.encode(tensor.data))
            entry["parameters"] = (tensor.parameters or {}) | {"binary_data_size": len(buffers[-1])}
        else:
            if tensor.parameters:
                entry["parameters"] = tensor.parameters
            entry["data"] = orjson.Fragment(elements.to_json(tensor.data, tensor.name))
        message["inputs"].append(entry)
    text = orjson.dumps(message)
    return (b"".join([text, *buffers]), len(text)) if binary else (text, None)


def encode_grpc(asked: InferRequest) -> bytes:
    """A ModelInferRequest with raw contents."""
    message = ModelInferRequest(model_name=asked.model, model_version=asked.version, id=asked.id)
    _fill(message.parameters, asked.parameters)
    for tensor in asked.inputs:
        entry = message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.data.shape)
        _fill(entry.parameters, tensor.parameters or {})
    for output in asked.outputs or ():
        message.outputs.add(name=output.name)
    buffers = [raw.encode(tensor.data) for tensor in asked.inputs]
    return b"".join(joined(message.SerializeToString(), _RAW_INPUTS, buffers))


def decode_http(body: bytes, json_length: str | None) -> InferResponse:
    """An answer, with the header LENGTH if it came; InvalidArgument when it isn't one."""
    if json_length is not None and not (json_length.isdecimal() and len(json_length) < 19):
        raise InvalidArgument(f"{LENGTH} must be a number, got '{json_length[:40]}'")
    length = None if json_length is None else int(json_length)
    message, outputs = rest_codec.read(body, length, "outputs")
    keys = ("model_name", "model_version", "id")  # null, or not there, from some servers
    model, version, id = (one if isinstance(one := message.get(key), str) else "" for key in keys)
    return InferResponse(model, version, id, outputs)


def decode_grpc(data: bytes) -> InferResponse:
    """A ModelInferResponse, raw or typed; InvalidArgument when it isn't one."""
    rest, raws = split(data, _RAW_OUTPUTS) if len(data) >= LARGE else (data, [])
    message = parse(ModelInferResponse(), rest)
    outputs = tensors_of(message.outputs, raws or message.raw_output_contents, "output")
    return InferResponse(message.model_name, message.model_version, message.id, outputs)


def _fill(entries: Any, parameters: Parameters) -> None:
    """A map of InferParameter from plain values."""
    kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    for key, value in parameters.items():
        if type(value) not in kinds:
            raise InvalidArgument(f"parameters.{key}: a string, number or boolean goes over gRPC")
        kind = "uint64_param" if type(value) is int and value >= 2**63 else kinds[type(value)]
        setattr(entries[key], kind, value)
