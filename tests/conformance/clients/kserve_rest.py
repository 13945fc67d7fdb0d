"""kserve.InferenceRESTClient. It has no metadata, config or statistics, and no way to a version."""

import httpx
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http
from driver import main, pack, unpack
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


def infer_request(case, **wire):
    """A case as kserve's request; `wire` goes to `set_data_from_numpy`."""
    inputs = []
    for tensor in case["inputs"]:
        entry = InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
        entry.set_data_from_numpy(unpack(tensor), **wire)
        inputs.append(entry)
    parameters = dict(case.get("parameters") or {})
    if case.get("binary_out"):
        parameters["binary_data_output"] = True
    return InferRequest(
        case["model"],
        inputs,
        request_id=case.get("id"),
        parameters=parameters or None,
        model_version=case.get("version"),
        request_outputs=[RequestedOutput(name) for name in case["outputs"]]
        if "outputs" in case
        else None,
    )


def answer(result):
    """A result of either client."""
    return {
        "id": result.id,
        "model_name": result.model_name,
        "outputs": [pack(output.name, output.as_numpy()) for output in result.outputs],
    }


class KServeRest:
    failure = httpx.HTTPStatusError

    def __init__(self, url, _):
        self.url = url
        self.client = InferenceRESTClient(RESTConfig(protocol="v2"))
        self.v1_client = InferenceRESTClient(RESTConfig(protocol="v1"))

    def surfaced(self, error):
        return str(error.response.status_code), str(error)

    async def infer(self, case):
        request = infer_request(case, binary_data=case.get("binary_in", True))
        return answer(await self.client.infer(self.url, request, model_name=case["model"]))

    async def v1(self, case):
        return await self.v1_client.infer(self.url, case["body"], model_name=case["model"])

    async def v1_explain(self, case):
        return await self.v1_client.explain(self.url, case["model"], case["body"])

    async def v1_event(self, case):
        """In a CloudEvent, made and read by the SDK that comes with kserve."""
        about = {"id": "7", "source": "tests", "type": "tests.rows"}
        event = CloudEvent(about, case["body"])
        headers, body = to_structured(event) if case["structured"] else to_binary(event)
        url = f"{self.url}/v1/models/{case['model']}:predict"
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(url, headers=headers, content=body)
        answer.raise_for_status()
        found = from_http(dict(answer.headers), answer.content)
        return {"source": found["source"], "type": found["type"], "data": found.data}

    async def live(self, case):
        client = self.v1_client if case.get("v1") else self.client
        return await client.is_server_live(self.url)

    async def ready(self, case):
        return await self.client.is_server_ready(self.url)

    async def model_ready(self, case):
        client = self.v1_client if case.get("v1") else self.client
        return await client.is_model_ready(self.url, case["model"])

    async def close(self):
        await self.client.close()
        await self.v1_client.close()


if __name__ == "__main__":
    main(KServeRest)
