"""MLflow's `MLmodel`: which file in the folder is the model, of what kind, and what its columns are."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.protocol.tables import Column, Table

NAME = "MLmodel"
# A flavor, and the modelFormat that serves it. The first one that is there.
FLAVORS = {
    "onnx": "onnx",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "sklearn": "sklearn",
}
_PATHS = ("pickled_model", "data", "model_data")


@dataclass(frozen=True, slots=True)
class MlModel:
    """What it says: the modelFormat, the model's file, and the columns of its signature."""

    model_format: str
    file: Path
    columns: tuple[Column, ...] = field(default=())


def read(folder: Path) -> MlModel | None:
    """None where there is no MLmodel; ConfigError where none of its flavors is served here."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        about = yaml.safe_load(path.read_bytes())
        flavors = dict(about["flavors"])
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError) as error:
        raise ConfigError(f"{path}: no MLmodel of MLflow's: {error}") from None
    for flavor, model_format in FLAVORS.items():
        if flavor not in flavors:
            continue
        said = flavors[flavor] or {}
        name = next((said[key] for key in _PATHS if isinstance(said.get(key), str)), "")
        file = (folder / name).resolve()
        if not name or not file.is_relative_to(folder.resolve()):
            raise ConfigError(f"{path}: flavor {flavor} names no file in its folder")
        pickled = file.suffix in (".pkl", ".pickle", ".joblib")  # XGBClassifier and its kin are, too
        return MlModel("sklearn" if pickled else model_format, file, _columns(about.get("signature")))
    raise ConfigError(f"{path}: its flavors are {', '.join(flavors)}, served are {', '.join(FLAVORS)}")


def _columns(signature: Any) -> tuple[Column, ...]:
    """Of a signature of columns; none where it is one of tensors, or there is none."""
    try:
        entries = json.loads(signature["inputs"])
    except (TypeError, KeyError, ValueError):
        return ()
    if not isinstance(entries, list) or any(
        not isinstance(one, dict) or "name" not in one or one.get("type") == "tensor" for one in entries
    ):
        return ()
    return tuple(
        Column(
            str(one["name"]),
            "text" if one["type"] in ("string", "binary") else "number",
            one.get("required") is False,
        )
        for one in entries
    )


def table(folder: Path, known: Table) -> Table:
    """What the model says of its columns, with what MLflow's signature says of their types."""
    about = read(folder)
    if about is None or not about.columns or known.texts:
        return known
    said = {column.name: column for column in about.columns}
    if known.named and set(said) != {column.name for column in known.columns}:
        return known
    if known.columns and len(known.columns) != len(said):
        return known
    order = [one.name for one in known.columns] if known.named else list(said)
    columns = tuple(said[name] for name in order)
    return Table(columns, True, known.frame or any(one.kind == "text" for one in columns))
