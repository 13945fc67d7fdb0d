"""A request's rows as one matrix, and back: what LIME perturbs is a matrix, whatever the model takes.

Columns of texts are the numbers of their values in the background.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve_app.config import did_you_mean
from serve_app.errors import ConfigError, InvalidArgument, shown
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays

MOST_ROWS = 10_000  # of a background: quartiles and frequencies don't change much beyond
FILES = ("background.csv", "background.npy")


@dataclass
class Background:
    """Rows such as the model was trained on: `matrix`, columns by `names` ('' where they have none), and
    of columns of texts the `values`, by their index."""

    matrix: np.ndarray
    names: list[str]
    values: dict[int, list[str]]


def read(folder: Path) -> Background:
    """From one of FILES; ConfigError where there is none, or it can't be read."""
    found = [folder / name for name in FILES if (folder / name).is_file()]
    if len(found) != 1:
        raise ConfigError(f"{folder}: expected {' or '.join(FILES)}, rows as the model was trained on")
    path = found[0]
    try:
        if path.suffix == ".npy":
            matrix = np.load(path, allow_pickle=False).astype(np.float64)
            names, values = [""] * (matrix.shape[1] if matrix.ndim == 2 else 0), dict[int, list[str]]()
        else:
            matrix, names, values = _of_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: {error}") from error
    if matrix.ndim != 2 or len(matrix) < 2:
        raise ConfigError(f"{path}: expected at least 2 rows of columns, got shape {list(matrix.shape)}")
    if not np.isfinite(matrix).all():
        raise ConfigError(f"{path}: a number is missing, or isn't finite: leave such rows out")
    return Background(matrix[:MOST_ROWS], names, values)


def _of_csv(path: Path) -> tuple[np.ndarray, list[str], dict[int, list[str]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if not lines:
        raise ValueError("it is empty; its first line names the columns")
    names, rows = lines[0], lines[1 : MOST_ROWS + 1]
    for at, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"line {at} has {len(row)} values for {len(names)} columns")
    columns, values = [], dict[int, list[str]]()
    for at, column in enumerate(zip(*rows, strict=True)):
        try:
            columns.append([float(value) for value in column])
        except ValueError:
            values[at] = sorted(set(column))
            columns.append([float(values[at].index(value)) for value in column])
    return np.array(columns).T.reshape(len(rows), -1), names, values


class Columns:
    """How a model's inputs and the columns of a background go together."""

    def __init__(self, inputs: Arrays, about: VersionDescription, background: Background) -> None:
        self._single = len(inputs) == 1 and next(iter(inputs.values())).ndim == 2
        self._inputs = inputs
        self._any_number = about.table is not None  # whatever type the numbers came in
        for name, array in inputs.items():
            if not self._single and array.ndim != 1 and array.shape[1:] != (1,):
                shape = list(array.shape)
                raise InvalidArgument(
                    f"tensor '{name}': kind tabular explains rows of columns, got shape {shape}"
                )
        first = next(iter(inputs.values()))
        self.width = first.shape[1] if self._single else len(inputs)
        own = [column.name for column in about.table.columns] if about.table else []
        named = about.table.named if about.table else False
        if not self._single:
            own, named = list(inputs), True
        self.names = self._ordered(own if named else [], background)

    def _ordered(self, own: list[str], background: Background) -> list[str]:
        """The columns' names; the background's, in the model's order."""
        self.matrix, self.values = background.matrix, background.values
        if self.matrix.shape[1] != self.width:
            raise ConfigError(
                f"the background has {self.matrix.shape[1]} columns, the model takes {self.width}"
            )
        if own and any(background.names):
            for name in own:
                if name not in background.names:
                    hint = did_you_mean(name, background.names)
                    raise ConfigError(f"the background has no column '{name}' of the model{hint}")
            order = [background.names.index(name) for name in own]
            self.matrix = self.matrix[:, order]
            known = background.values
            self.values = {at: known[index] for at, index in enumerate(order) if index in known}
            return own
        found = own or background.names
        return [name or f"column-{at}" for at, name in enumerate(found)]

    def encode(self) -> np.ndarray:
        """The request's rows."""
        if self._single and not self.values:
            array = next(iter(self._inputs.values()))
            if array.dtype != BYTES:
                return array.astype(np.float64)
        columns = list(self._inputs.values())
        if self._single:
            columns = list(columns[0].T)
        return np.stack([self._numbers(at, column) for at, column in enumerate(columns)], axis=1)

    def _numbers(self, at: int, column: np.ndarray) -> np.ndarray:
        column = column.reshape(len(column))
        known = self.values.get(at)
        if known is None:
            if column.dtype == BYTES:
                raise InvalidArgument(f"column '{self.names[at]}': expected numbers, got BYTES")
            return column.astype(np.float64)
        found = []
        for value in column:
            text = value.decode() if isinstance(value, bytes) else str(value)
            if text not in known:
                raise InvalidArgument(
                    f"column '{self.names[at]}': {shown(text)} isn't among the background's values"
                    + did_you_mean(text, known)
                )
            found.append(float(known.index(text)))
        return np.array(found)

    def decode(self, matrix: np.ndarray) -> Arrays:
        """Rows as the model takes them: in the shapes and types in which the request's came."""
        if self._single:
            ((name, array),) = self._inputs.items()
            if array.dtype != BYTES:
                return {name: matrix.astype(np.float64 if self._any_number else array.dtype)}
            columns = [self._typed(at, matrix[:, at], array.dtype) for at in range(self.width)]
            return {name: np.stack(columns, axis=1)}
        return {
            name: self._typed(at, matrix[:, at], array.dtype).reshape(len(matrix), *array.shape[1:])
            for at, (name, array) in enumerate(self._inputs.items())
        }

    def _typed(self, at: int, column: np.ndarray, dtype: np.dtype) -> np.ndarray:
        known = self.values.get(at)
        if known is None:
            return column.astype(np.float64 if self._any_number else dtype)
        if dtype != BYTES:
            return np.array([float(known[round(one)]) for one in column]).astype(dtype)
        found = np.empty(len(column), dtype=object)
        found[:] = [known[round(one)].encode() for one in column]
        return found
