"""What explainers answer: for each row of the request one of each tensor."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from serve_app.config import did_you_mean
from serve_app.errors import InvalidArgument, shown
from serve_app.protocol.tensors import Arrays, TensorSpec

LOG_ODDS = "log-odds"
_DIGITS = 10  # of a class's number
# Which of them are there depends on the method; `attributions` of a model with several inputs are
# `attributions.NAME`.
OUTPUTS = [
    TensorSpec("attributions", "FP64", (-1,), any_rank=True, optional=True),
    TensorSpec("features", "BYTES", (-1, -1), optional=True),
    TensorSpec("conditions", "BYTES", (-1, -1), optional=True),
    TensorSpec("output", "BYTES", (-1,), optional=True),
    TensorSpec("class", "INT64", (-1,), optional=True),
    TensorSpec("label", "BYTES", (-1,), optional=True),
    TensorSpec("prediction", "FP64", (-1,), optional=True),
    TensorSpec("base_value", "FP64", (-1,), optional=True),
    TensorSpec("fidelity", "FP64", (-1,), optional=True),
    TensorSpec("delta", "FP64", (-1,), optional=True),
]


@dataclass
class Row:
    """Of one row: how much each feature counts for the number that is explained."""

    attributions: np.ndarray
    base_value: float
    features: Sequence[str] = ()
    conditions: Sequence[str] = ()
    fidelity: float | None = None  # R² of LIME's own model of the model


@dataclass
class Targets:
    """Which number is explained in each row: of `scores`, the column of a class.

    `scores`: a row of numbers for each row; `of` names them, `labels` their columns, where those have
    names. `wanted`: a class by its number or label; else the likeliest.
    """

    of: str
    scores: np.ndarray
    labels: Sequence[str] | None = None
    wanted: object = None
    columns: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        count = self.scores.shape[1]
        if not count or not np.isfinite(self.scores).all():
            what = "no finite number" if count else "no number"
            raise InvalidArgument(f"output '{self.of}': the model answers {what} for one of these rows")
        if self.wanted is not None:
            self.columns = np.full(len(self.scores), self._column(count))
        else:
            self.columns = self.scores.argmax(axis=1)

    def _column(self, count: int) -> int:
        labels = list(self.labels or ())
        wanted = self.wanted
        if isinstance(wanted, str) and wanted in labels:
            wanted = labels.index(wanted)
        elif isinstance(wanted, str) and wanted.isdecimal() and len(wanted) < _DIGITS:
            wanted = int(wanted)
        if count == 1 and self.of == LOG_ODDS and wanted in (0, 1) and not isinstance(wanted, bool):
            if wanted == 0:
                raise InvalidArgument(
                    "parameters.class: of two classes the trees compute one number, for the second; for "
                    "the first it is the same with the other sign"
                )
            return 0
        if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < count:
            return wanted
        wanted = self.wanted
        hint = did_you_mean(wanted, labels) if isinstance(wanted, str) else ""
        raise InvalidArgument(
            f"parameters.class: expected a number below {count}{' or a label' if labels else ''}, "
            f"got {shown(wanted)}{hint}"
        )

    def answer(self) -> Arrays:
        """What is explained, for each row."""
        rows = len(self.scores)
        found: Arrays = {"output": texts([self.of] * rows)}
        if self.scores.shape[1] > 1:
            found["class"] = self.columns.astype(np.int64)
            if self.labels and len(self.labels) == self.scores.shape[1]:
                found["label"] = texts([self.labels[at] for at in self.columns])
        elif self.of == LOG_ODDS:  # of two classes one number, for the second
            found["class"] = np.ones(rows, np.int64)
            if self.labels and len(self.labels) == 2:
                found["label"] = texts([self.labels[1]] * rows)
        found["prediction"] = self.scores[np.arange(rows), self.columns]
        return found


def answered(rows: Sequence[Row], targets: Targets) -> Arrays:
    """The tensors. Where rows have different numbers of features, the shorter ones end in '' and 0."""
    found: Arrays = {"attributions": _stacked([row.attributions for row in rows])}
    for name in ("features", "conditions"):
        each = [getattr(row, name) for row in rows]
        if any(each):
            width = found["attributions"].shape[1]
            found[name] = texts([[*one, *[""] * (width - len(one))] for one in each])
    found |= targets.answer()
    found["base_value"] = np.array([row.base_value for row in rows], np.float64)
    if rows and rows[0].fidelity is not None:
        found["fidelity"] = np.array([row.fidelity for row in rows], np.float64)
    return found


def _stacked(each: Sequence[np.ndarray]) -> np.ndarray:
    if len({one.shape for one in each}) == 1:
        return np.stack(each).astype(np.float64)
    width = max(map(len, each))
    return np.stack([np.pad(one.astype(np.float64), (0, width - len(one))) for one in each])


def texts(values: Sequence[object]) -> np.ndarray:
    """Nested lists of texts as BYTES."""
    array = np.array(values, dtype=object)
    flat = np.empty(array.size, dtype=object)
    flat[:] = [str(one).encode() for one in array.flat]
    return flat.reshape(array.shape)
