"""tritonclient.grpc.aio: the methods of the sync client, awaited."""

import tritonclient.grpc.aio as aio
from driver import main
from triton_grpc import TritonGrpc, answer, infer_arguments


class TritonGrpcAio(TritonGrpc):
    def __init__(self, _, address):
        self.client = aio.InferenceServerClient(address)

    async def infer(self, case):
        compression = case.get("compress_in")
        return answer(
            await self.client.infer(**infer_arguments(case), compression_algorithm=compression)
        )

    async def stream(self, case):
        async def requests():
            for request in case["requests"]:
                yield infer_arguments(request)

        answers = []
        async for result, error in self.client.stream_infer(requests()):
            answers.append(answer(result) if error is None else {"error": error.message()})
        return answers


if __name__ == "__main__":
    main(TritonGrpcAio)
