"""SHAP of trees, exact: the frameworks' own for XGBoost and LightGBM, the library's for scikit-learn.

What the parts add up to, with the base value, is what the trees themselves compute: probabilities of
forests, and of what is boosted a number before it becomes one.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from serve_app.errors import ConfigError
from serve_app.explainers.answers import Row, Targets, answered
from serve_app.explainers.asking import Asked
from serve_app.explainers.base import Options, library
from serve_app.protocol.tensors import Arrays


class Trees(Protocol):
    """A model whose framework takes its answers apart."""

    def contributions(self, inputs: Arrays) -> np.ndarray:
        """For each row and number that the trees compute, what each column adds to it, and at the end
        the base value."""
        ...


class ShapTrees:
    """`of` says what the numbers are; `labels` name them, `columns` the features."""

    def __init__(
        self, trees: Trees, of: str, labels: Sequence[str] | None, columns: Sequence[str]
    ) -> None:
        self._trees, self._of, self._labels, self._columns = trees, of, labels, columns

    def explain(self, inputs: Arrays, asked: Asked, options: Options) -> Arrays:
        """The model isn't asked: it is here."""
        parts = self._trees.contributions(inputs)
        asked.left()
        width = parts.shape[2] - 1
        targets = Targets(self._of, parts.sum(axis=2), self._labels, options.wanted)
        columns = self._columns or [f"column-{at}" for at in range(width)]
        rows = [
            Row(found[column, :-1], float(found[column, -1]), columns)
            for found, column in zip(parts, targets.columns, strict=True)
        ]
        return answered(rows, targets)


class SklearnTrees:
    """`estimator`: trees of scikit-learn. ConfigError where the library knows none such."""

    def __init__(self, estimator: Any) -> None:
        shap = library("shap")
        try:
            self._explainer = shap.TreeExplainer(estimator)
        except Exception as error:  # the library's own, of many kinds
            raise ConfigError(
                f"{type(estimator).__name__} is no model of trees that SHAP explains exactly "
                f"({type(error).__name__}: {error}); method lime explains any model"
            ) from error
        said = getattr(self._explainer.model, "tree_output", None)
        self.of = {"probability": "probability", "log_odds": "log-odds"}.get(str(said), "trees")

    def values(self, rows: Any) -> np.ndarray:
        """As `Trees` has them."""
        found = np.asarray(self._explainer.shap_values(rows), np.float64)
        base = np.atleast_1d(np.asarray(self._explainer.expected_value, np.float64))
        if found.ndim == 2:
            found = found[..., None]
        parts = np.moveaxis(found, 2, 1)  # rows, numbers, columns
        ends = np.broadcast_to(base[None, :, None], (*parts.shape[:2], 1))
        return np.concatenate([parts, ends], axis=2)
