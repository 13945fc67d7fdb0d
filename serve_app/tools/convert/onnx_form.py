"""scikit-learn's models as ONNX graphs, and what these answer by the names of the methods."""

from pathlib import Path
from typing import Any

import numpy as np

from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tables import MATRIX, Table
from serve_app.protocol.tensors import Arrays
from serve_app.runtimes.base import Runtime, need
from serve_app.runtimes.tabular import as_array

# skl2onnx's names of outputs.
_NAMES = {"label": "predict", "output_label": "predict", "probabilities": "predict_proba",
          "output_probability": "predict_proba"}  # fmt: skip


def write(model: Any, about: VersionDescription, path: Path) -> None:
    """By skl2onnx, probabilities as one tensor; numbers in FP32."""
    skl2onnx = need("skl2onnx", "convert")
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    table = about.table or Table()
    width = table.width if table.columns else None
    types = [(MATRIX, StringTensorType([None, 1]) if table.texts else FloatTensorType([None, width]))]
    if table.frame:
        types = [
            (one.name, StringTensorType([None, 1]) if one.kind == "text" else FloatTensorType([None, 1]))
            for one in table.columns
        ]
    options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
    graph = skl2onnx.convert_sklearn(model, initial_types=types, options=options)
    path.write_bytes(graph.SerializeToString())


def answers(runtime: Runtime, inputs: Arrays, default: str) -> Arrays:
    """What the graph answers, its only output as `default`; one number for each row as a row of them."""
    specs = runtime.metadata().inputs
    feed = {
        spec.name: array if array.dtype == object else array.astype(np.float32)
        for spec, array in zip(specs, inputs.values(), strict=True)
    }
    feed = {name: array[:, None] if array.ndim == 1 else array for name, array in feed.items()}
    found = runtime.predict(feed, {})
    named = {_NAMES.get(name, default): as_array(array) for name, array in found.items()}
    if (predicted := named.get("predict")) is not None and predicted.ndim == 2:
        named["predict"] = predicted[:, 0] if predicted.shape[1] == 1 else predicted
    return named
