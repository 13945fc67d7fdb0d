"""gRPC with nothing of ours nor of a client on this side: the wire, its errors, its reflection.

The messages are tritonclient's; they travel over a bare channel.
"""

import struct
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tritonclient.grpc import service_pb2 as pb

from tests.conformance import golden
from tests.conformance.values import same, tensor

SERVICE = "inference.GRPCInferenceService"
Q = np.full((1, 64), 0.5, np.float32)


def call(channel: grpc.Channel, method: str, request: Any, kind: Any = None) -> Any:
    """One unary call. `request` is a message or bytes; without `kind` the answer is bytes."""
    data = request if isinstance(request, bytes) else request.SerializeToString()
    answer = channel.unary_unary(f"/{SERVICE}/{method}")(data, timeout=60)
    return answer if kind is None else kind.FromString(answer)


def fails(channel: grpc.Channel, method: str, request: Any, code: StatusCode) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method, request)
    details = caught.value.details()
    assert caught.value.code() is code, details
    assert details
    assert "Traceback" not in details
    assert ".py" not in details
    return details


def request(model: str = "identity", **fields: Any) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name=model, **fields)


def declared(
    name: str = "x", datatype: str = "FP32", shape: tuple[int, ...] = (2,), **more: Any
) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, **more}


def raw(model: str, name: str, array: np.ndarray, **fields: Any) -> pb.ModelInferRequest:
    datatype = {"f": f"FP{array.itemsize * 8}", "i": f"INT{array.itemsize * 8}"}[array.dtype.kind]
    inputs = [declared(name, datatype, array.shape)]
    return request(model, inputs=inputs, raw_input_contents=[array.tobytes()], **fields)


EIGHT = [bytes(8)]
FP32 = {"fp32_contents": [1, 2]}
FAULTS = {
    "raw-too-short": (request(inputs=[declared()], raw_input_contents=[bytes(7)]), "'x' 8 7"),
    "raw-too-long": (request(inputs=[declared()], raw_input_contents=[bytes(9)]), "'x' 8 9"),
    "raw-surplus-entry": (
        request(inputs=[declared()], raw_input_contents=EIGHT * 2),
        "raw_input_contents 1 2",
    ),
    "raw-missing-entry": (
        request(inputs=[declared(), declared("y")], raw_input_contents=EIGHT),
        "raw_input_contents 2 1",
    ),
    "raw-without-input": (request(raw_input_contents=EIGHT), "raw_input_contents 0 1"),
    "raw-and-typed": (
        request(inputs=[declared(contents=FP32)], raw_input_contents=EIGHT),
        "raw_input_contents contents both",
    ),
    "raw-and-typed-mixed": (
        request(inputs=[declared(), declared("y", contents=FP32)], raw_input_contents=EIGHT),
        "raw_input_contents contents",
    ),
    "typed-too-short": (request(inputs=[declared(contents={"fp32_contents": [1]})]), "'x' [2] 2 1"),
    "typed-nothing": (request(inputs=[declared()]), "'x' [2] 2 0"),
    "typed-wrong-field": (
        request(inputs=[declared(contents={"int_contents": [1, 2]})]),
        "'x' FP32 fp32_contents int_contents",
    ),
    "typed-two-fields": (
        request(inputs=[declared(contents={**FP32, "int_contents": [1]})]),
        "'x' fp32_contents int_contents",
    ),
    "typed-out-of-range": (
        request(inputs=[declared(datatype="INT8", contents={"int_contents": [1, 300]})]),
        "'x' range INT8",
    ),
    "typed-half": (
        request(inputs=[declared(datatype="FP16", contents=FP32)]),
        "'x' FP16 raw_input_contents",
    ),
    "unknown-datatype": (
        request(inputs=[declared(datatype="FP8")], raw_input_contents=EIGHT),
        "'x' FP32 FP8",
    ),
    "no-datatype": (request(inputs=[declared(datatype="")], raw_input_contents=EIGHT), "'x' datatype"),
    "no-name": (request(inputs=[declared("")], raw_input_contents=EIGHT), "inputs[0].name"),
    "twice": (request(inputs=[declared()] * 2, raw_input_contents=EIGHT * 2), "'x' twice"),
    "negative-shape": (
        request(inputs=[declared(shape=(-1,))], raw_input_contents=EIGHT),
        "'x' shape -1",
    ),
    "huge-shape": (request(inputs=[declared(shape=(2**62, 4))], raw_input_contents=EIGHT), "'x' large"),
    "bytes-cut": (
        request(
            inputs=[declared(datatype="BYTES", shape=(1,))], raw_input_contents=[struct.pack("<I", 9)]
        ),
        "'x' 9 0",
    ),
    "output-unnamed": (raw("identity", "x", Q, outputs=[{"name": ""}]), "outputs[0].name"),
    "output-unknown": (raw("identity", "x", Q, outputs=[{"name": "y"}]), "'y' identity x"),
    "output-undeclared": (raw("digits", "pixels", Q, outputs=[{"name": "odds"}]), "'odds' label"),
    "shared-memory": (
        request(inputs=[declared(parameters={"shared_memory_region": {"string_param": "r"}})]),
        "shared_memory_region",
    ),
    "missing-tensor": (request("digits"), "'pixels' FP32 [-1, 64]"),
    "wrong-datatype": (raw("digits", "pixels", Q.astype(np.float64)), "'pixels' FP32 FP64"),
    "wrong-shape": (raw("digits", "pixels", Q[:, :5]), "'pixels' [-1, 64] [1, 5]"),
    "surplus-tensor": (
        request(
            "digits",
            inputs=[declared("pixels", shape=(1, 64)), declared()],
            raw_input_contents=[bytes(256), bytes(8)],
        ),
        "'x' pixels",
    ),
    "not-a-message": (b"\xff" * 20, "ModelInferRequest"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(channel: grpc.Channel, name: str) -> None:
    sent, words = FAULTS[name]
    details = fails(channel, "ModelInfer", sent, StatusCode.INVALID_ARGUMENT)
    for word in words.split():
        assert word in details


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"])
def test_unknown(channel: grpc.Channel, method: str) -> None:
    kind = getattr(pb, f"{method}Request")
    fails(channel, method, b"\xff" * 20, StatusCode.INVALID_ARGUMENT)
    if method == "ModelReady":  # no error: clients poll for models to come
        for asked in (kind(name="nobody"), kind(name="digits", version="9")):
            assert not call(channel, method, asked, pb.ModelReadyResponse).ready
        return
    assert "nobody" in fails(channel, method, kind(name="nobody"), StatusCode.NOT_FOUND)
    details = fails(channel, method, kind(name="digits", version="9"), StatusCode.NOT_FOUND)
    assert "digits" in details
    assert "9" in details


def test_unknown_model_and_version(channel: grpc.Channel) -> None:
    assert "nobody" in fails(channel, "ModelInfer", raw("nobody", "x", Q), StatusCode.NOT_FOUND)
    sent = raw("digits", "pixels", Q, model_version="9")
    assert "9" in fails(channel, "ModelInfer", sent, StatusCode.NOT_FOUND)
    fails(channel, "ModelInfer", b"", StatusCode.NOT_FOUND)  # an empty message names no model


@pytest.mark.parametrize(
    "method",
    [
        "SystemSharedMemoryStatus",
        "SystemSharedMemoryRegister",
        "SystemSharedMemoryUnregister",
        "CudaSharedMemoryStatus",
        "CudaSharedMemoryRegister",
        "CudaSharedMemoryUnregister",
        "RepositoryModelLoad",
        "RepositoryModelUnload",
        "TraceSetting",
        "LogSettings",
        "Nonsense",
    ],
)
def test_unimplemented(channel: grpc.Channel, method: str) -> None:
    fails(channel, method, b"", StatusCode.UNIMPLEMENTED)


def test_raw_answers_raw_and_typed_answers_typed(channel: grpc.Channel) -> None:
    array = tensor("FP64", (2, 3))
    answer = call(channel, "ModelInfer", raw("identity", "x", array, id="7"), pb.ModelInferResponse)
    assert answer.raw_output_contents == [array.tobytes()]
    assert not answer.outputs[0].HasField("contents")
    assert (answer.id, answer.model_name, answer.model_version) == ("7", "identity", "1")
    typed = request(
        inputs=[declared(contents=FP32), declared("n", "UINT8", (1,), contents={"uint_contents": [9]})]
    )
    answer = call(channel, "ModelInfer", typed, pb.ModelInferResponse)
    assert not answer.raw_output_contents
    assert list(answer.outputs[0].contents.fp32_contents) == [1, 2]
    assert list(answer.outputs[1].contents.uint_contents) == [9]
    assert answer.id


def test_unknown_fields_are_accepted(channel: grpc.Channel) -> None:
    sent = raw("identity", "x", Q).SerializeToString() + b"\xfa\x3e\x03abc"  # field 1007
    answer = call(channel, "ModelInfer", sent, pb.ModelInferResponse)
    assert answer.raw_output_contents == [Q.tobytes()]


def test_golden_over_a_bare_channel(channel: grpc.Channel) -> None:
    rows = golden.held_out()[0][:9]
    answer = call(channel, "ModelInfer", raw("digits", "pixels", rows), pb.ModelInferResponse)
    labels = np.frombuffer(answer.raw_output_contents[1], np.int64)
    same(labels, golden.digits(rows, "2")["label"])


def test_stream_keeps_order_and_survives_errors(channel: grpc.Channel) -> None:
    stream = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
    arrays = [np.full(3, index, np.int32) for index in range(50)]
    sent = [
        raw("nobody" if index % 7 == 3 else "identity", "x", array) for index, array in enumerate(arrays)
    ]
    messages = [
        b"\xff\xff" if index % 11 == 5 else item.SerializeToString() for index, item in enumerate(sent)
    ]
    answers = [
        pb.ModelStreamInferResponse.FromString(data) for data in stream(iter(messages), timeout=60)
    ]
    assert len(answers) == len(arrays)
    for index, (array, answer) in enumerate(zip(arrays, answers, strict=True)):
        assert answer.infer_response.parameters["triton_final_response"].bool_param
        if index % 11 == 5:
            assert "ModelInferRequest" in answer.error_message
        elif index % 7 == 3:
            assert "nobody" in answer.error_message
            assert answer.infer_response.model_name == "nobody"
        else:
            assert not answer.error_message
            assert answer.infer_response.raw_output_contents == [array.tobytes()]


def test_reflection(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services()
    described = database.FindFileContainingSymbol(SERVICE)
    [service] = described.service
    methods = {method.name for method in service.method}
    assert {
        "ServerLive",
        "ServerReady",
        "ModelReady",
        "ModelInfer",
        "ModelStreamInfer",
        "ModelConfig",
    } <= methods
    assert {"ModelInferRequest", "ModelInferResponse"} <= {
        message.name for message in described.message_type
    }
