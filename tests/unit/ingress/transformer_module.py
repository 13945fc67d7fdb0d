"""A module with transformers, as KServe's documentation and samples have users write them."""

MODULE = '''
import argparse
import base64
from typing import Dict, Union

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve import logging
from kserve.errors import InvalidInput
from kserve.model import PredictorProtocol

parser = argparse.ArgumentParser(parents=[model_server.parser])
args, _ = parser.parse_known_args([])


class Pixels(Model):
    """V1 or V2 in; the predictor is asked in the protocol that it is told."""

    def __init__(self, name: str):
        super().__init__(name, return_response_headers=True)
        self.ready = True

    def preprocess(
        self, payload: Union[Dict, InferRequest], headers: Dict[str, str] = None
    ) -> Union[Dict, InferRequest]:
        if isinstance(payload, InferRequest):
            texts = payload.inputs[0].data
        else:
            headers["request-type"] = "v1"
            texts = [one["image"]["b64"] for one in payload["instances"]]
        try:
            rows = np.asarray([list(base64.b64decode(text, validate=True)) for text in texts])
        except ValueError:
            raise InvalidInput(f"no base64 (asked by {headers.get('x-user')})")
        if self.predictor_config.predictor_protocol == PredictorProtocol.REST_V1.value:
            return {"instances": rows.tolist()}
        tensor = InferInput(name="x", datatype="FP32", shape=list(rows.shape), data=rows)
        return InferRequest(model_name=self.name, infer_inputs=[tensor])

    def postprocess(self, infer_response, headers=None, response_headers=None):
        if headers.get("request-type") != "v1":
            return infer_response
        if isinstance(infer_response, dict):
            return infer_response
        return {"predictions": infer_response.outputs[0].as_numpy().tolist(), "name": self.name}


class Waits(Model):
    async def preprocess(self, payload, headers=None):
        return payload

    async def predict(self, payload, headers=None, response_headers=None):
        found = await super().predict(payload, headers)
        return await super().predict(payload, headers) if "twice" in headers else found

    async def postprocess(self, result, headers=None, response_headers=None):
        if isinstance(result, InferResponse):
            array = result.get_output_by_name("y").as_numpy()
            out = InferOutput("best", [len(array)], "BYTES")
            out.set_data_from_numpy(np.array([f"row {row[0]:g}" for row in array], dtype=object))
            return InferResponse(result.id, self.name, [out])
        return {"labels": [row["y"] for row in result["predictions"]], "at": np.float32(0.5)}


class Plain:
    def __init__(self, name, factor=1, **kept):
        self.factor = factor

    def preprocess(self, payload, headers):
        return {"instances": [[self.factor * x for x in row] for row in payload["instances"]]}


class Dicts(Model):
    """Asks by V2 with a dict, as KServe posts it."""

    def preprocess(self, payload, headers=None):
        x = np.array([[1, 2]], np.float32)
        tensor = {"name": "x", "datatype": "FP32", "shape": x.shape, "data": x}
        more = {
            "list": {"data": x.ravel().tolist()},
            "nan": {"data": [float("nan"), 2.0], "parameters": None},
            "none": {"data": None}, "short": {"data": [1.0]}, "object": {"data": object()},
        }  # fmt: skip
        tensor |= more.get(headers["how"], {})
        found = {"inputs": [tensor], "id": "7"}
        if headers["how"] == "some":
            found["outputs"] = [{"name": "z"}]
        if headers["how"] == "large":
            found["parameters"] = {"text": "a" * 2**17}
        return {"inputs": 7} if headers["how"] == "number" else found

    def postprocess(self, result, headers=None):
        if headers["how"] == "odd":
            return InferResponse("1", self.name, [InferOutput("a", [1], "FP99", [1.0])])
        return {"got": {one.name: one.as_numpy().tolist() for one in result.outputs}}


class Wrong(Model):
    def preprocess(self, payload, headers=None):
        {"key": lambda: payload["missing"], "exit": lambda: exit(3)}[headers["how"]]()

    def postprocess(self, result, headers=None):
        return "text"


class Moody:
    @property
    def outputs(self):
        raise LookupError("not today")


class Odd(Model):
    def postprocess(self, result, headers=None, response_headers=None):
        if headers["how"] == "shape":
            return InferResponse("1", self.name, [InferOutput("a", [7], "FP32", [1.0])])
        if headers["how"] == "half":
            return {"outputs": [{"name": "a"}]}
        if headers["how"] == "name":
            return InferResponse("1", self.name, [InferOutput(3, [1], "FP32", [1.0])])
        if headers["how"] == "property":
            return Moody()
        return 7 if headers["how"] == "number" else {"a": object()}
'''
