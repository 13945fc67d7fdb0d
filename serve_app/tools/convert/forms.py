"""A model that was unpickled, in a form without code; and what the two answer. Runs confined."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from serve_app.config import ModelConfig, parse
from serve_app.core import tables
from serve_app.errors import ConfigError
from serve_app.protocol import v1_tables
from serve_app.protocol.tables import MATRIX, Table
from serve_app.protocol.tensors import Arrays, InferRequest
from serve_app.runtimes.base import Runtime, create
from serve_app.runtimes.sklearn import SklearnRuntime
from serve_app.runtimes.sklearn_table import seen
from serve_app.runtimes.tabular import Given, TabularRuntime, numbered, texts
from serve_app.tools.convert import onnx_form

ROWS = 48


@dataclass(frozen=True, slots=True)
class Made:
    """The file that was written, what serves it, and what serves what it was made of."""

    file: str
    model_format: str
    options: dict[str, Any]
    kind: str
    runtime: TabularRuntime


def made(model: Any, to: str, work: Path) -> Made:
    """`to`: skops, onnx, or '' for what suits it: boosters have formats of their own."""
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    library = kind.partition(".")[0]
    booster = library in ("xgboost", "lightgbm") and type(model).__name__ == "Booster"
    if booster:
        if to:
            raise ConfigError(f"a Booster is written in its library's own form: leave out --to {to}")
        runtime = _of_booster(library, model, work)
    elif hasattr(model, "predict") or hasattr(model, "transform"):
        runtime = SklearnRuntime(_config("sklearn", work), work)
        runtime.adopt(model)
    else:
        raise ConfigError(f"it is a {kind}, which has neither predict nor transform: no model to serve")
    if to == "onnx":
        onnx_form.write(model, runtime.metadata(), work / "model.onnx")
        return Made("model.onnx", "onnx", {}, kind, runtime)
    if library == "xgboost" and not to:
        model.save_model(work / "model.ubj")
        options = {} if booster else {"interface": "sklearn"}
        return Made("model.ubj", "xgboost", options, kind, runtime)
    if library == "lightgbm" and not to:
        (model if booster else model.booster_).save_model(work / "model.txt")
        return Made("model.txt", "lightgbm", {}, kind, runtime)
    import skops.io

    skops.io.dump(model, work / "model.skops")
    types = skops.io.get_untrusted_types(file=work / "model.skops")
    return Made("model.skops", "sklearn", {"trustedTypes": types} if types else {}, kind, runtime)


def _config(model_format: str, folder: Path, options: dict[str, Any] | None = None) -> ModelConfig:
    about = {"name": "model", "modelFormat": model_format, "storageUri": str(folder)}
    return parse(ModelConfig, {**about, "options": options or {}})


def _of_booster(library: str, model: Any, work: Path) -> TabularRuntime:
    if library == "lightgbm":
        return Given(_config(library, work), work, numbered(model.num_feature()), model.predict)
    import xgboost

    def predict(rows: np.ndarray) -> Any:
        return model.predict(xgboost.DMatrix(rows, feature_names=model.feature_names))

    return Given(_config(library, work), work, numbered(model.num_features()), predict)


def served(file: Path, model_format: str, options: dict[str, Any]) -> Runtime:
    """The runtime that serves the file, alone in a folder."""
    folder = file.parent / "made"
    folder.mkdir(exist_ok=True)
    file.rename(folder / file.name)
    runtime = create(_config(model_format, folder, options), folder)
    runtime.load()
    return runtime


def rows(runtime: TabularRuntime, given: Any) -> Arrays:
    """Those that the user gives as V1's instances, or invented ones."""
    about = runtime.metadata()
    table = about.table or Table()
    if given:
        tensors = v1_tables.tensors_of(given, "rows", table)
        return tables.validated(InferRequest("model", "", "", tensors), about)
    if table.texts:
        words = ["a text", "good and bad", "", "another one, longer than that"]
        return {MATRIX: np.array([one.encode() for one in words], dtype=object)}
    random = np.random.default_rng(0)
    third, width = ROWS // 3, max(1, table.width)
    parts = [
        random.normal(0, 1, (third, width)),
        random.uniform(0, 10, (third, width)),
        random.uniform(0, 1000, (third, width)),
    ]
    # Values that FP32 has, too: ONNX computes in it.
    matrix = np.concatenate(parts).astype(np.float32).astype(np.float64)
    if not table.frame:
        return {MATRIX: matrix}
    known = seen(runtime.model)
    columns: Arrays = {}
    for at, column in enumerate(table.columns):
        values = known.get(column.name)
        columns[column.name] = matrix[:, at] if not values else _of(values, random)
    return columns


def _of(values: list[Any], random: np.random.Generator) -> np.ndarray:
    chosen = [values[at] for at in random.integers(0, len(values), ROWS)]
    if not isinstance(values[0], str):
        return np.array(chosen)
    made = np.empty(ROWS, dtype=object)
    made[:] = [one.encode() for one in chosen]
    return made


def answers(runtime: Runtime, inputs: Arrays, default: str = "predict") -> Arrays:
    """All of its outputs; an ONNX graph's by the names of the methods that they are of."""
    if not isinstance(runtime, TabularRuntime):
        return onnx_form.answers(runtime, inputs, default)
    names = [spec.name for spec in runtime.metadata().outputs]
    found: Arrays = runtime.predict(inputs, tables.asking_for(names, {}))
    return found


def write(path: Path, arrays: Arrays) -> None:
    """As .npz, without pickles: texts as such."""
    plain = {
        f"array_{at}": np.array(texts(array), dtype=str) if array.dtype == object else array
        for at, array in enumerate(arrays.values())
    }
    np.savez(path, names=np.array(list(arrays), dtype=str), **plain)  # type: ignore[arg-type]


def read(path: Path | BinaryIO) -> Arrays:
    """What `write` wrote."""
    with np.load(path, allow_pickle=False) as file:
        found = {str(name): file[f"array_{at}"] for at, name in enumerate(file["names"])}
    for name, array in found.items():
        if array.dtype.kind == "U":
            found[name] = np.char.encode(array, "utf-8").astype(object)
    return found
