"""Users over HTTP: V2 as plain JSON, V2 with binary tensors behind the JSON, and V1."""

from typing import Any

import numpy as np
import orjson
from locust import FastHttpUser

from loadtests.payloads import Sample
from loadtests.users import DECLARED, EVERY, HOST, HTTP_PORT, ModelUser
from serve_app.protocol import client, rest_codec
from serve_app.protocol.tensors import InferResponse


class HttpUser(ModelUser, FastHttpUser):  # type: ignore[misc]
    """One connection; the subclasses say how a request is written."""

    abstract = True
    host = f"http://{HOST}:{HTTP_PORT}"
    connection_timeout = network_timeout = 60.0
    kind = ""

    def path(self, sample: Sample) -> str:
        """Of the URL."""
        return client.http_path(sample.model)

    def write(self, sample: Sample, request_id: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers."""
        raise NotImplementedError

    def read(self, response: Any, sample: Sample, sent_id: str) -> InferResponse:
        """The answer; raises whatever fits when it isn't one."""
        return client.decode_http(response.content, response.headers.get(client.LENGTH))

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
        body, length = client.encode_http(client.request(sample.model, sample.inputs, request_id))
        return body, client.http_headers(length)


class BinaryUser(HttpUser):
    """The binary tensor extension, in both directions."""

    kind = "binary"
    tasks = EVERY

    def write(self, sample: Sample, request_id: str) -> tuple[bytes, dict[str, str]]:
        """The JSON part, then the raw tensors."""
        asked = client.request(sample.model, sample.inputs, request_id, binary_output=True)
        body, length = client.encode_http(asked, binary=True)
        return body, client.http_headers(length)


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

    def read(self, response: Any, sample: Sample, sent_id: str) -> InferResponse:
        """`predictions`: plain rows of one output, objects of several."""
        rows = orjson.loads(response.content)["predictions"]
        if len(sample.outputs) == 1:
            rows = [dict.fromkeys(sample.outputs, row) for row in rows]
        arrays = {
            name: np.array([row[name] for row in rows], dtype=dtype)
            for name, dtype in sample.outputs.items()
        }
        return InferResponse(sample.model, "", sent_id, rest_codec.tensors_from(arrays, [*arrays]))
