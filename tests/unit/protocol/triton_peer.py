"""tritonclient's own messages, made and read in a process of its own.

Frames on stdin and stdout: 4 bytes of length, then a pickle. Ours is never imported here.
"""

import pickle
import struct
import sys

import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult, service_pb2
from tritonclient.grpc._utils import _get_inference_request


def raw_request(tensors):
    inputs = [
        InferInput(name, list(array.shape), datatype).set_data_from_numpy(array)
        for name, datatype, array in tensors
    ]
    message = _get_inference_request(
        model_name="m", inputs=inputs, model_version="2", request_id="id-1",
        outputs=[InferRequestedOutput("y")], sequence_id=0, sequence_start=False, sequence_end=False,
        priority=0, timeout=None, parameters={"flag": True, "n": 7, "s": "text"},
    )  # fmt: skip
    return message.SerializeToString()


def typed_request(tensors):
    message = service_pb2.ModelInferRequest(model_name="m")
    for name, datatype, field, array in tensors:
        entry = message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        getattr(entry.contents, field).extend(array.ravel().tolist())
    return message.SerializeToString()


def read_response(data):
    message = service_pb2.ModelInferResponse.FromString(data)
    result = InferResult(message)
    head = (message.model_name, message.model_version, message.id)
    return head, {
        entry.name: (entry.datatype, list(entry.shape), np.array(result.as_numpy(entry.name)))
        for entry in message.outputs
    }


def read_typed_response(data):
    message = service_pb2.ModelInferResponse.FromString(data)
    assert not message.raw_output_contents
    return {
        entry.name: {field.name: list(values) for field, values in entry.contents.ListFields()}
        for entry in message.outputs
    }


def main():
    while head := sys.stdin.buffer.read(4):
        name, argument = pickle.loads(sys.stdin.buffer.read(*struct.unpack("<I", head)))
        answer = pickle.dumps(globals()[name](argument))
        sys.stdout.buffer.write(struct.pack("<I", len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
