"""LightGBM's boosters, as `save_model` writes them: `model.txt`."""

from typing import Any

import numpy as np

from serve_app.config import LightgbmOptions
from serve_app.errors import ConfigError
from serve_app.protocol.tables import Column, Table
from serve_app.protocol.tensors import Arrays
from serve_app.runtimes.base import need
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.model_files import model_file
from serve_app.runtimes.not_a_model import what_it_is
from serve_app.runtimes.tabular import TabularRuntime


class LightgbmRuntime(TabularRuntime):
    """One booster. Columns that were a data frame's categories are texts."""

    def load(self) -> None:
        """Read it, and run it once to see what it answers."""
        lightgbm = need("lightgbm", "lightgbm")
        self._threads = LightgbmOptions.model_validate(self._config.options).threads
        path = model_file("lightgbm", self._folder)
        if not path.read_bytes()[:5].startswith(b"tree"):
            what = what_it_is(path) or "it isn't what Booster.save_model writes"
            raise ConfigError(f"{path}: {what}")
        try:
            with LOADING:
                self._booster = lightgbm.Booster(model_file=str(path))
        except lightgbm.basic.LightGBMError as error:
            raise ConfigError(f"{path}: LightGBM can't load it: {error}") from error
        names = self._booster.feature_name()
        self._categories = _categories(self._booster, names)
        columns = tuple(
            Column(name, "text" if isinstance(self._categories.get(name, [0])[0], str) else "number")
            for name in names
        )
        invented = names == [f"Column_{at}" for at in range(len(names))]
        self._table = Table(columns, not invented, frame=bool(self._categories))
        self._methods = {"predict": self._values}
        self._describe({name: values[0] for name, values in self._categories.items()})

    def _values(self, rows: Any) -> Any:
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "Vb":  # BF16 and BOOL it doesn't know
            rows = rows.astype(np.float32)
        return self._booster.predict(rows, **({"num_threads": self._threads} if self._threads else {}))

    def trees(self) -> tuple[Any, str, list[str] | None, list[str]]:
        """Before what an objective makes of them: log-odds, say."""
        said = str(self._booster.dump_model(num_iteration=1).get("objective", ""))
        return self, "log-odds" if said.startswith("binary") else "trees", None, self._column_names()

    def contributions(self, inputs: Arrays) -> np.ndarray:
        """LightGBM's own, exact; of several classes one after the other."""
        rows = self._rows(inputs)
        if isinstance(rows, np.ndarray):
            rows = rows.astype(np.float64)
        found = np.asarray(self._booster.predict(rows, pred_contrib=True), np.float64)
        return found.reshape(len(found), -1, len(self._table.columns) + 1)

    def _series(self, pd: Any, name: str, array: np.ndarray) -> Any:
        series = super()._series(pd, name, array)
        known = self._categories.get(name)
        return series if known is None else pd.Categorical(series, categories=known)


def _categories(booster: Any, names: list[str]) -> dict[str, list[Any]]:
    """The values of the columns that were categories, by column; they are kept in the columns' order."""
    known = booster.pandas_categorical
    if not known:
        return {}
    infos = booster.dump_model(num_iteration=1)["feature_infos"]
    # Of numbers it keeps a range, of categories those that it met.
    found = [name for name in names if name in infos and infos[name].get("values")]
    if len(found) != len(known):
        raise ConfigError(
            f"LightGBM keeps {len(known)} lists of categories, and has {len(found)} columns of them: "
            "save the model with categories in columns that it uses, or with their numbers"
        )
    return dict(zip(found, known, strict=True))
