"""Which file in a version's folder is the model."""

from pathlib import Path

from serve_app.errors import ConfigError
from serve_app.repository.versions import only_file
from serve_app.runtimes import mlmodel
from serve_app.runtimes.base import FILES

PICKLES = (".joblib", ".pkl", ".pickle")
# Of these formats KServe's servers take the one file with such an ending, whatever it is called.
_ENDINGS = {
    "sklearn": (".skops", *PICKLES),
    "xgboost": (".ubj", ".json", ".bst"),
    "lightgbm": (".txt", ".bst"),
}


def model_file(model_format: str, folder: Path) -> Path:
    """By its name, by MLflow's MLmodel, or by its ending. ConfigError says what lies there instead."""
    if model_format == "mlflow" and (about := mlmodel.read(folder)):
        model_format = about.model_format
    endings = _ENDINGS.get(model_format, ())
    if endings and (about := mlmodel.read(folder)):
        if about.model_format != model_format:
            raise ConfigError(
                f"{folder}: by its MLmodel it is modelFormat {about.model_format}, not {model_format}"
            )
        converted = about.file.with_suffix(".skops")  # of `tandem convert`
        return converted if model_format == "sklearn" and converted.is_file() else about.file
    found = sorted(one for one in folder.iterdir() if one.is_file() and one.suffix in endings)
    for ending in endings[:1]:  # the safe one first, where a pickle lies beside it
        if len(safe := [one for one in found if one.suffix == ending]) == 1:
            return only_file(folder, safe[0].name)
    if len(found) == 1:
        return only_file(folder, found[0].name)
    if model_format == "sklearn" and not found and (folder / "model.onnx").is_file():
        raise ConfigError(f"{folder}: model.onnx is served with modelFormat onnx")
    return only_file(folder, *FILES[model_format])
