"""tritonclient.http.aio: the methods of the sync client, awaited."""

import tritonclient.http.aio as aio
from driver import main
from triton_http import TritonHttp, answer, infer_arguments


class TritonHttpAio(TritonHttp):
    def __init__(self, url, _):
        self.client = aio.InferenceServerClient(url.removeprefix("http://"))

    async def infer(self, case):
        return answer(await self.client.infer(**infer_arguments(case)))


if __name__ == "__main__":
    main(TritonHttpAio)
