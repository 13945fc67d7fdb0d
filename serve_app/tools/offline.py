"""`tandem offline`: many rows through a model at once, without a service. What a RayJob is for.

    tandem offline configs/quickstart.yaml sentences texts.txt embeddings.npz

reads the model from its application in a Serve config, takes one text per line, spreads them over as
many workers as the cluster has room for, each with the model loaded, and writes the outputs by name, in
the order of the lines.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.util import ActorPool

from serve_app.config import RemoteModel, did_you_mean
from serve_app.errors import ConfigError
from serve_app.protocol.tensors import Arrays
from serve_app.runtimes.host import ModelHost
from serve_app.tools.check import load_checked
from serve_app.tools.check.paths import MODEL_PATH, is_path


class Worker:
    """One copy of a model."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._host = ModelHost(RemoteModel.model_validate(config))
        self._version = self._host.load()[-1].version

    def predict(self, lines: list[str]) -> Arrays:
        """The outputs of a batch of texts, by name, a row for each."""
        texts = np.array([line.encode() for line in lines], dtype=object)
        return asyncio.run(self._host.predict(self._version, {"text": texts}, {}))


def outputs_of(config: dict[str, Any], lines: list[str], rows: int, workers: int | None) -> Arrays:
    """Outputs for all lines, in their order. Uses the Ray cluster that there is, or starts one here."""
    ray.init(ignore_reinit_error=True, logging_level="WARNING")
    model = RemoteModel.model_validate(config)
    room = int(ray.cluster_resources().get("CPU", 1) // max(model.resources.num_cpus, 1))
    count = workers or max(1, min(room, -(-len(lines) // rows)))
    options = {"num_cpus": model.resources.num_cpus, "num_gpus": model.resources.num_gpus}
    actor: Any = ray.remote(Worker).options(**options)
    pool = ActorPool([actor.remote(config) for _ in range(count)])
    batches = [lines[at : at + rows] for at in range(0, len(lines), rows)]
    found = list(pool.map(lambda worker, batch: worker.predict.remote(batch), batches))
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _application(path: Path, name: str) -> dict[str, Any]:
    applications = load_checked(path)["applications"]
    models = {app["name"]: app for app in applications if is_path(app.get("import_path"), MODEL_PATH)}
    if name not in models:
        raise ConfigError(f"{path}: no model application '{name}'{did_you_mean(name, models)}")
    return {**models[name]["args"], "name": name}


def run(path: Path, application: str, source: Path, target: Path, rows: int, workers: int | None) -> int:
    """Write the outputs for the lines of `source` to `target`, as .npz; ConfigError for mistakes."""
    config = _application(path, application)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(error)) from None
    if not lines:
        raise ConfigError(f"{source}: no line in it")
    outputs = outputs_of(config, lines, rows, workers)
    np.savez(target, **outputs)  # type: ignore[arg-type]  # its stub takes names for options
    shapes = {name: list(array.shape) for name, array in outputs.items()}
    print(json.dumps({"rows": len(lines), "outputs": shapes, "written": str(target)}))
    return 0
