"""Users that speak V2 over HTTP: plain JSON, and JSON with binary tensors behind it."""

from typing import Any

import numpy as np
import orjson
from locust import FastHttpUser

from loadtests.payloads import Arrays, Sample
from loadtests.users import HOST, HTTP_PORT, Answer, ModelUser
from serve_app.protocol import raw
from serve_app.protocol.datatypes import TO_NUMPY, v2_datatype

_LENGTH = "Inference-Header-Content-Length"


class HttpUser(ModelUser, FastHttpUser):  # type: ignore[misc]
    """One connection; the subclasses say how a request is written."""

    abstract = True
    host = f"http://{HOST}:{HTTP_PORT}"
    connection_timeout = network_timeout = 60.0
    kind = ""

    def write(self, sample: Sample, request_id: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers."""
        raise NotImplementedError

    def infer(self, sample: Sample) -> None:
        """Ask, check, and report as one request. Only the exchange itself is timed."""
        request_id = self.next_id()
        body, headers = self.write(sample, request_id)
        path = f"/v2/models/{sample.model}/infer"
        with self.client.post(
            path, data=body, headers=headers, name=sample.model, catch_response=True
        ) as response:
            response.request_meta["request_type"] = self.kind
            if response.status_code == 0:
                return  # no answer; locust reports the reason
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.content[:200]!r}")
                return
            length = response.headers.get(_LENGTH)
            problem = self.problem(sample, request_id, lambda: read(response.content, length))
            if problem:
                response.failure(problem)


class JsonUser(HttpUser):
    """Everything as JSON."""

    kind = "JSON"

    def write(self, sample: Sample, request_id: str) -> tuple[bytes, dict[str, str]]:
        """`data` holds numbers or strings."""
        inputs = [
            {**_entry(name, array), "data": _plain(array)} for name, array in sample.inputs.items()
        ]
        body = orjson.dumps({"id": request_id, "inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        return body, {"Content-Type": "application/json"}


class BinaryUser(HttpUser):
    """The binary tensor extension, in both directions."""

    kind = "binary"

    def write(self, sample: Sample, request_id: str) -> tuple[bytes, dict[str, str]]:
        """The JSON part, then the raw tensors."""
        buffers = {name: raw.encode(array) for name, array in sample.inputs.items()}
        inputs = [
            {**_entry(name, array), "parameters": {"binary_data_size": len(buffers[name])}}
            for name, array in sample.inputs.items()
        ]
        message = {"id": request_id, "inputs": inputs, "parameters": {"binary_data_output": True}}
        head = orjson.dumps(message)
        headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(head))}
        return b"".join([head, *buffers.values()]), headers


def read(body: bytes, json_length: str | None) -> Answer:
    """An answer's id and tensors; raises whatever fits when it isn't one."""
    position = len(body) if json_length is None else int(json_length)
    answer = orjson.loads(body[:position])
    outputs: Arrays = {}
    for entry in answer["outputs"]:
        name, datatype, shape = entry["name"], entry["datatype"], tuple(entry["shape"])
        if "data" in entry:
            array = np.array(entry["data"], dtype=TO_NUMPY[datatype]).reshape(shape)
        else:
            size = entry["parameters"]["binary_data_size"]
            array = raw.decode(body[position : position + size], datatype, shape, name)
            position += size
        outputs[name] = array
    return answer.get("id"), outputs


def _entry(name: str, array: np.ndarray) -> dict[str, Any]:
    return {"name": name, "datatype": v2_datatype(array), "shape": list(array.shape)}


def _plain(array: np.ndarray) -> Any:
    """Numbers as they are (orjson writes FP32 in its shortest form), bytes as text."""
    return [item.decode() for item in array.flat] if array.dtype == object else array.ravel()
