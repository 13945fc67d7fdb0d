"""A model that is asked by explainers, and what it was asked."""

import time
from collections.abc import Callable

import numpy as np

from serve_app.explainers.asking import Asked
from serve_app.explainers.base import Options
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tables import Column, Table
from serve_app.protocol.tensors import Arrays, TensorSpec


class Model:
    """Answers `scores` by a function of its inputs; implements `serve_app.explainers.asking.Models`."""

    def __init__(
        self, function: Callable[[Arrays], np.ndarray], labels=None, columns=(), outputs=("scores",)
    ) -> None:
        table = Table(tuple(Column(name) for name in columns), named=True) if columns else None
        specs = [TensorSpec(name, "FP64", (-1, -1), labels=labels) for name in outputs]
        self.about = VersionDescription([], specs, {}, table)
        self.function, self.outputs = function, outputs
        self.batches: list[int] = []
        self.versions: set[str] = set()

    def describe(self, version: str, seconds: float) -> VersionDescription:
        return self.about

    def predict(self, version: str, inputs: Arrays, output: str, seconds: float) -> Arrays:
        self.batches.append(len(next(iter(inputs.values()))))
        self.versions.add(version)
        return {output or self.outputs[0]: self.function(inputs)}


def asked(model: Model, batch: int = 64, wanted: str = "", seconds: float = 60) -> Asked:
    return Asked(model, "7", batch, time.monotonic() + seconds, wanted)


def options(**said) -> Options:
    return Options(**{"seed": 3, "samples": 500, "features": None, **said})
