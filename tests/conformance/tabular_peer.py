"""What KServe's or MLServer's own runtimes answer: `kserve|mlserver FORMAT FILE`, requests in JSON from
standard input, answers to standard output. In environments of theirs, without a server.
"""

import asyncio
import json
import sys
from pathlib import Path


def kserve(model_format: str, file: Path, asked: dict) -> dict:
    """V1's predictions, and of V2 datatype, shape and data of its one output."""
    from kserve.protocol.infer_type import InferInput, InferRequest

    from loadtests.kserve.tabular import loaded

    model = loaded("m", model_format, file)
    inputs = [InferInput(one["name"], one["shape"], one["datatype"], one["data"]) for one in asked["v2"]]
    answer, _ = model.predict(InferRequest("m", inputs, parameters=asked["parameters"])).to_rest()
    v1 = [model.predict(body)["predictions"] for body in asked["v1"]]
    return {"v1": v1, "v2": [{key: one[key] for key in ("datatype", "shape", "data")}
                             for one in answer["outputs"]]}  # fmt: skip


async def mlserver(model_format: str, file: Path, asked: dict) -> dict:
    """Of V2 each output that is asked for."""
    from mlserver.settings import ModelParameters, ModelSettings
    from mlserver.types import InferenceRequest

    if model_format == "sklearn":
        from mlserver_sklearn import SKLearnModel as Kind
    else:
        from mlserver_xgboost import XGBoostModel as Kind
    settings = ModelSettings(name="m", implementation=Kind, parameters=ModelParameters(uri=str(file)))
    model = Kind(settings)
    await model.load()
    body = {"inputs": asked["v2"], "parameters": asked["parameters"],
            "outputs": [{"name": name} for name in asked["outputs"]]}  # fmt: skip
    answer = json.loads((await model.predict(InferenceRequest.model_validate(body))).model_dump_json())
    return {
        "v2": [
            {key: one[key] for key in ("name", "datatype", "shape", "data")} for one in answer["outputs"]
        ]
    }


def main() -> None:
    """One line of JSON at the end."""
    peer, model_format, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    asked = json.load(sys.stdin)
    if peer == "kserve":
        found = kserve(model_format, file, asked)
    else:
        found = asyncio.run(mlserver(model_format, file, asked))
    print("\n" + json.dumps(found))


main()
