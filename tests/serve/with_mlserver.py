"""MLServer's own stubs and types for its repository API: `HTTP_URL GRPC_ADDRESS TOKEN MODEL`. Prints the
states that it was told."""

import json
import sys

import grpc
import requests
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.types import RepositoryIndexResponse


def main(url, address, token, model):
    stub, metadata = GRPCInferenceServiceStub(grpc.insecure_channel(address)), [("admin-key", token)]
    found = []

    def states():
        over_http = RepositoryIndexResponse.model_validate_json(
            requests.post(f"{url}/v2/repository/index", json={}, timeout=60).text
        )
        over_grpc = stub.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=60).models
        found.append(
            [{one.state for one in over_http if one.name == model}.pop(),
             {one.state for one in over_grpc if one.name == model}.pop()]
        )  # fmt: skip

    stub.RepositoryModelUnload(
        pb.RepositoryModelUnloadRequest(model_name=model), metadata=metadata, timeout=60
    )
    states()
    stub.RepositoryModelLoad(
        pb.RepositoryModelLoadRequest(model_name=model), metadata=metadata, timeout=60
    )
    states()
    for verb in ("unload", "load"):
        path = f"{url}/v2/repository/models/{model}/{verb}"
        answer = requests.post(path, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        answer.raise_for_status()
        states()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
