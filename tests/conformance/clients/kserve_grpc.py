"""kserve.InferenceGRPCClient, with raw and with typed contents."""

import grpc
from driver import main, unpack
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve_rest import answer, infer_request


def typed_request(case):
    """Typed contents: kserve sends lists that way."""
    inputs = [
        InferInput(
            tensor["name"], tensor["shape"], tensor["datatype"], data=unpack(tensor).ravel().tolist()
        )
        for tensor in case["inputs"]
    ]
    return InferRequest(
        case["model"], inputs, request_id=case.get("id"), model_version=case.get("version")
    )


class KServeGrpc:
    failure = grpc.RpcError

    def __init__(self, _, address):
        self.client = InferenceGRPCClient(address)

    def surfaced(self, error):
        return str(error.code()), error.details()

    async def infer(self, case):
        request = typed_request(case) if case.get("typed") else infer_request(case)
        result = await self.client.infer(request)
        return {**answer(result), "model_version": result.model_version}

    async def live(self, case):
        return await self.client.is_server_live()

    async def ready(self, case):
        return await self.client.is_server_ready()

    async def model_ready(self, case):
        return await self.client.is_model_ready(case["model"])

    async def close(self):
        await self.client.close()


if __name__ == "__main__":
    main(KServeGrpc)
