"""A transformer as users write them for KServe, run by KServe's server and by Tandem alike."""

import argparse
from typing import Any

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.errors import InvalidInput
from kserve.model import PredictorProtocol

parser = argparse.ArgumentParser(parents=[model_server.parser])
args, _ = parser.parse_known_args()


class Scaled(Model):
    """Rows times two, and of the answer what is likeliest, in V1 and in V2."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = True

    def preprocess(self, payload: Any, headers: Any = None) -> Any:
        v2 = isinstance(payload, InferRequest)
        rows = payload.inputs[0].as_numpy() if v2 else np.array(payload["instances"])
        if rows.ndim != 2:
            raise InvalidInput("rows of numbers")
        rows = (rows * 2).astype(np.float32)
        if self.predictor_config.predictor_protocol == PredictorProtocol.REST_V1.value:
            return {"instances": rows.tolist()}
        tensor = InferInput(name="rows", datatype="FP32", shape=list(rows.shape), data=rows.tolist())
        return InferRequest(model_name=self.name, infer_inputs=[tensor], request_id="1")

    async def postprocess(self, result: Any, headers: Any = None, response_headers: Any = None) -> Any:
        said = headers.get("x-user", "nobody")
        if isinstance(result, dict):
            best = [int(row["best"]) for row in result["predictions"]]
        else:
            best = result.get_output_by_name("best").as_numpy().tolist()
        if headers.get("x-form") != "v2":
            return {"predictions": best, "user": said}
        output = InferOutput(name="best", datatype="INT64", shape=[len(best)], data=best)
        return InferResponse(response_id="1", model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    ModelServer().start([Scaled(args.model_name)])
