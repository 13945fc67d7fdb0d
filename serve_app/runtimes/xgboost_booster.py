"""XGBoost's boosters, as `save_model` writes them: `model.ubj` or `model.json`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import XgboostOptions
from serve_app.errors import ConfigError
from serve_app.protocol.tables import Column, Table
from serve_app.protocol.tensors import Arrays
from serve_app.runtimes.base import need
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.model_files import model_file
from serve_app.runtimes.not_a_model import what_it_is
from serve_app.runtimes.tabular import TabularRuntime


class XgboostRuntime(TabularRuntime):
    """One booster."""

    number = "FP32"

    def load(self) -> None:
        """Read it, and run it once to see what it answers."""
        self._xgboost = xgboost = need("xgboost", "xgboost")
        options = XgboostOptions.model_validate(self._config.options)
        path = model_file("xgboost", self._folder)
        with LOADING:
            self._booster = booster = _read(xgboost, path, options.threads)
        learner = json.loads(booster.save_config())["learner"]
        self._linear = learner["gradient_booster"]["name"] == "gblinear"
        self._objective = objective = learner["learner_train_param"]["objective"]
        names = booster.feature_names
        columns = tuple(Column(name) for name in names or _numbered(booster.num_features()))
        self._table = Table(columns, named=bool(names))
        self._methods = {"predict": self._values}
        if objective in ("binary:logistic", "multi:softprob"):
            self._methods["predict_proba"] = self._odds
            if options.interface == "sklearn":
                self._methods["predict"] = self._labels
        elif options.interface == "sklearn" and objective == "multi:softmax":
            self._methods["predict"] = lambda rows: self._values(rows).astype(np.int64)
        self.default = options.output
        best = booster.attr("best_iteration") if options.interface == "sklearn" else None
        self._trees = (0, int(best) + 1) if best else (0, 0)
        self._describe()

    def _values(self, rows: np.ndarray) -> Any:
        if rows.dtype.kind == "V":  # BF16, which it doesn't know
            rows = rows.astype(np.float32)
        if self._linear:
            matrix = self._xgboost.DMatrix(rows, feature_names=self._booster.feature_names)
            return self._booster.predict(matrix, iteration_range=self._trees)
        return self._booster.inplace_predict(rows, iteration_range=self._trees)

    def trees(self) -> tuple[Any, str, list[str] | None, list[str]]:
        """Before what an objective makes of them: log-odds, say."""
        if self._linear:
            raise ConfigError("gblinear has no trees; method lime explains any model")
        of = "log-odds" if self._objective.endswith((":logistic", ":logitraw")) else "trees"
        return self, of, None, self._column_names()

    def contributions(self, inputs: Arrays) -> np.ndarray:
        """XGBoost's own, exact."""
        rows = self._rows(inputs).astype(np.float32)
        matrix = self._xgboost.DMatrix(rows, feature_names=self._booster.feature_names)
        found = self._booster.predict(
            matrix, pred_contribs=True, strict_shape=True, iteration_range=self._trees
        )
        return np.asarray(found, np.float64)

    def _odds(self, rows: np.ndarray) -> Any:
        """A column for each class, of two as well."""
        found = self._values(rows)
        return found if found.ndim == 2 else np.stack([1 - found, found], axis=1)

    def _labels(self, rows: np.ndarray) -> Any:
        found = self._values(rows)
        return (found > 0.5).astype(np.int64) if found.ndim == 1 else found.argmax(axis=1)


def _read(xgboost: Any, path: Path, threads: int) -> Any:
    data = bytearray(path.read_bytes())
    if data[:1] != b"{":  # so begin JSON and UBJ
        raise ConfigError(
            f"{path}: {what_it_is(path) or 'it is no JSON and no UBJ'}; XGBoost's old binary format is "
            "read by the version that wrote it alone: load it there, and save it as model.ubj"
        )
    try:
        return xgboost.Booster({"nthread": threads} if threads else None, model_file=data)
    except (xgboost.core.XGBoostError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"{path}: XGBoost can't load it: {said}") from error


def _numbered(count: int) -> list[str]:
    return [f"f{at}" for at in range(count)]
