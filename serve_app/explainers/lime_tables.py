"""LIME of rows and columns: what happens to the answer where columns have other values."""

from pathlib import Path

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.explainers import columns
from serve_app.explainers.answers import Row, Targets, answered
from serve_app.explainers.asking import Asked
from serve_app.explainers.base import Options, affordable, library, selection
from serve_app.explainers.labels import labels_of
from serve_app.protocol.tensors import Arrays


class LimeTables:
    """`folder` holds the background."""

    def __init__(self, folder: Path, discretize: bool) -> None:
        self._lime, self._discretize = library("lime.lime_tabular"), discretize
        self._background = columns.read(folder)

    def explain(self, inputs: Arrays, asked: Asked, options: Options) -> Arrays:
        """Row by row, each beginning with the same seed: whatever company it has."""
        about = asked.describe()
        scores = asked(inputs)  # first: the model says best what is wrong with rows
        table = columns.Columns(inputs, about, self._background)
        matrix = table.encode()
        if not (there := np.isfinite(matrix)).all():
            raise InvalidArgument(
                f"column '{table.names[int(np.argwhere(~there)[0][1])]}': a number is missing, or isn't "
                "finite; LIME has nothing to put in the place of such"
            )
        affordable(options.samples, table.width)
        targets = Targets(
            asked.output or "the first output", scores, labels_of(about, asked.output), options.wanted
        )
        rows = [
            self._row(row, int(column), table, asked, options)
            for row, column in zip(matrix, targets.columns, strict=True)
        ]
        return answered(rows, targets)

    def _row(
        self, row: np.ndarray, column: int, table: columns.Columns, asked: Asked, options: Options
    ) -> Row:
        explainer = self._lime.LimeTabularExplainer(
            table.matrix,
            mode="regression",  # of one class's number, whatever the others are
            feature_names=list(table.names),
            categorical_features=sorted(table.values),
            categorical_names={at: list(values) for at, values in table.values.items()},
            feature_selection=selection(table.width),
            discretize_continuous=self._discretize,
            random_state=np.random.RandomState(options.seed),
        )
        found = explainer.explain_instance(
            row,
            lambda rows: asked(table.decode(rows))[:, column],
            num_features=options.features or table.width,
            num_samples=options.samples,
        )
        weights, conditions = np.zeros(table.width), [""] * table.width
        said = found.domain_mapper
        names = said.discretized_feature_names or said.exp_feature_names
        for at, weight in found.local_exp[1]:
            weights[at], conditions[at] = weight, str(names[at])
        shown = conditions if self._discretize or table.values else ()
        return Row(weights, float(found.intercept[1]), table.names, shown, float(found.score))
