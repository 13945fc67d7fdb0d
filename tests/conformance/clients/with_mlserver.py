"""What MLServer's documentation has for a client: its types and codecs. Writes what they decoded.

    python with_mlserver.py HTTP_URL GRPC_ADDRESS PIXELS.npy RESULTS.json

Its JSON has nulls wherever it has nothing to say, and its texts are of shape [n, 1].
"""

import json
import sys

import grpc
import numpy as np
import requests
from driver import pack
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, StringCodec
from mlserver.grpc import converters
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.types import InferenceRequest, InferenceResponse

TEXTS = ["a short one", "another"]


def by_http(url):
    def infer(model, request):
        answer = requests.post(f"{url}/v2/models/{model}/infer", json=request.model_dump(), timeout=60)
        answer.raise_for_status()
        return InferenceResponse.model_validate_json(answer.text)

    return infer


def by_grpc(address):
    stub = GRPCInferenceServiceStub(grpc.insecure_channel(address))

    def infer(model, request):
        sent = converters.ModelInferRequestConverter.from_types(request, model_name=model)
        return converters.ModelInferResponseConverter.to_types(stub.ModelInfer(sent, timeout=60))

    return infer


def decoded(response):
    return [pack(output.name, NumpyCodec.decode_output(output)) for output in response.outputs]


def results(infer, pixels, use_bytes):
    digits = InferenceRequest(inputs=[NumpyCodec.encode_input("pixels", pixels)])
    texts = InferenceRequest(inputs=[StringCodec.encode_input("text", TEXTS, use_bytes=use_bytes)])
    whole = NumpyRequestCodec.encode_request(pixels)
    whole.inputs[0].name = "pixels"
    return {
        "input codec": decoded(infer("digits", digits)),
        "request codec": decoded(infer("digits", whole)),
        "texts": decoded(infer("sentences", texts)),
    }


def main(http, address, pixels, results_file):
    array = np.load(pixels)
    found = {"http": results(by_http(http), array, use_bytes=False)}
    found["grpc"] = results(by_grpc(address), array, use_bytes=True)
    with open(results_file, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
