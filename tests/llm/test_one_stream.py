"""A client with one gRPC stream has the engine's batches as one with many: what eight prompts take."""

import statistics
import time
from contextlib import ExitStack

import grpc
import pytest

from serve_app.protocol import inference_pb2 as pb
from tests.llm.serving import MODEL
from tests.server import Server

PROMPTS, TOKENS, ROUNDS = 8, 200, 7
METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"


def message(number: int) -> bytes:
    made = pb.ModelInferRequest(model_name=MODEL, id=str(number))
    text = made.inputs.add(name="text_input", datatype="BYTES", shape=[1])
    text.contents.bytes_contents.append(b"Describe a stream, the %dth." % number)
    made.parameters["max_tokens"].int64_param = TOKENS
    made.parameters["ignore_eos"].bool_param = True
    made.parameters["temperature"].double_param = 0
    return made.SerializeToString()


def seconds(address: str, streams: int) -> float:
    """All prompts on so many streams, each over a connection of its own, from first to last."""
    with ExitStack() as open_ones:
        stubs = [
            open_ones.enter_context(
                grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
            ).stream_stream(METHOD)
            for _ in range(streams)
        ]
        sent = [message(number) for number in range(PROMPTS)]
        began = time.monotonic()
        calls = [stub(iter(sent[at::streams])) for at, stub in enumerate(stubs)]
        ended = 0
        for call in calls:
            for data in call:
                answer = pb.ModelStreamInferResponse.FromString(data)
                assert not answer.error_message, answer.error_message
                ended += answer.infer_response.parameters["triton_final_response"].bool_param
        assert ended == PROMPTS
        return time.monotonic() - began


@pytest.mark.long
@pytest.mark.live
def test_one_stream_is_as_good_as_eight(llm: Server) -> None:
    for streams in (1, PROMPTS):
        seconds(llm.grpc, streams)  # warm
    one, many = [], []
    for _ in range(ROUNDS):
        one.append(seconds(llm.grpc, 1))
        many.append(seconds(llm.grpc, PROMPTS))
    ratio = statistics.median(one) / statistics.median(many)
    print(f"one stream {one}, eight {many}: {ratio:.2f}")  # pytest -s shows it
    assert ratio <= 1.3, (one, many)
