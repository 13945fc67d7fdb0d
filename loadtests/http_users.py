"""Users over HTTP: V2 as plain JSON, V2 with binary tensors behind the JSON, and V1."""

from typing import Any

import numpy as np
import orjson
from locust import FastHttpUser

from loadtests.payloads import Arrays, Sample
from loadtests.users import DECLARED, EVERY, HOST, HTTP_PORT, Answer, ModelUser
from serve_app.protocol import raw
from serve_app.protocol.datatypes import TO_NUMPY, v2_datatype

_LENGTH = "Inference-Header-Content-Length"


class HttpUser(ModelUser, FastHttpUser):  # type: ignore[misc]
    """One connection; the subclasses say how a request is written."""

    abstract = True
    host = f"http://{HOST}:{HTTP_PORT}"
    connection_timeout = network_timeout = 60.0
    kind = ""

    def path(self, sample: Sample) -> str:
        """Of the URL."""
        return f"/v2/models/{sample.model}/infer"

    def write(self, sample: Sample, request_id: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers."""
        raise NotImplementedError

    def read(self, response: Any, sample: Sample, sent_id: str) -> Answer:
        """The answer's id and tensors; raises whatever fits when it isn't one."""
        return read(response.content, response.headers.get(_LENGTH))

    def exchange(self, sample: Sample, waited: float) -> None:
        """Ask, check, and report as one request. Only the exchange itself is timed."""
        request_id = self.next_id()
        body, headers = self.write(sample, request_id)
        with self.client.post(
            self.path(sample), data=body, headers=headers, name=sample.model, catch_response=True
        ) as response:
            response.request_meta["request_type"] = self.kind
            response.request_meta["response_time"] += waited * 1000
            response.request_meta["start_time"] -= waited
            if response.status_code == 0:
                return  # no answer; locust reports the reason
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.content[:200]!r}")
                return
            problem = self.problem(sample, request_id, lambda: self.read(response, sample, request_id))
            if problem:
                response.failure(problem)


class JsonUser(HttpUser):
    """Everything as JSON."""

    kind = "JSON"
    tasks = EVERY

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
    tasks = EVERY

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


class V1User(HttpUser):
    """KServe's older protocol: rows in, rows out, no ids. Not for the echo, which declares no input."""

    kind = "V1"
    tasks = DECLARED

    def path(self, sample: Sample) -> str:
        """Of the URL."""
        return f"/v1/models/{sample.model}:predict"

    def write(self, sample: Sample, request_id: str) -> tuple[bytes, dict[str, str]]:
        """`instances` of the one input."""
        (array,) = sample.inputs.values()
        rows = [item.decode() for item in array] if array.dtype == object else array
        body = orjson.dumps({"instances": rows}, option=orjson.OPT_SERIALIZE_NUMPY)
        return body, {"Content-Type": "application/json"}

    def read(self, response: Any, sample: Sample, sent_id: str) -> Answer:
        """`predictions`: plain rows of one output, objects of several."""
        rows = orjson.loads(response.content)["predictions"]
        if len(sample.outputs) == 1:
            ((name, dtype),) = sample.outputs.items()
            return sent_id, {name: np.array(rows, dtype=dtype)}
        return sent_id, {
            name: np.array([row[name] for row in rows], dtype=dtype)
            for name, dtype in sample.outputs.items()
        }


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
