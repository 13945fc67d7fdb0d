"""What the runtimes of rows and columns share: rows in, and of the model's methods those asked for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import ModelConfig
from serve_app.core import tables
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.protocol.datatypes import BYTES, TO_NUMPY, as_v2_array, v2_datatype
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tables import MATRIX, Column, Kind, Table
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.runtimes import mlmodel
from serve_app.runtimes.base import declared

Methods = Mapping[str, Callable[[Any], Any]]


class TabularRuntime:
    """A model that is a few methods over rows. `number`: the datatype in which it computes.

    The kinds below it fill `_table`, `_methods` and `default`, the method of a request that names none,
    in `load`, and then call `_describe`.
    """

    number = "FP64"

    def __init__(self, config: ModelConfig, folder: Path | None, gpu: bool = False) -> None:
        assert folder is not None  # the configuration requires storageUri
        self._config, self._folder = config, folder
        self.model: Any = None  # what was loaded, where others may want it
        self._table, self._methods, self.default = Table(), dict[str, Callable[[Any], Any]](), "predict"
        self._classes: list[str] | None = None  # what the columns of probabilities are of
        self._alias = ""  # what the configuration calls the default's answer
        self._about = VersionDescription([], [])
        self._dtypes: dict[str, np.dtype] = {}

    def load(self) -> None:
        """Read the model, and `_describe`."""

    def _describe(self, examples: Mapping[str, Any] | None = None) -> None:
        """Inputs by the table, outputs by one run on an example of it."""
        said = declared(self._config)
        self._table = _declared_columns(self._table, said.inputs) or mlmodel.table(
            self._folder, self._table
        )
        inputs = self._inputs(examples or {}, {spec.name: spec.example for spec in said.inputs})
        rows = self._rows(_arrays(inputs, self._table))
        outputs, failed = [], dict[str, Exception]()
        for name, method in self._methods.items():
            try:
                with np.errstate(all="ignore"):
                    array = as_array(method(rows))
            except Exception as error:  # the estimator's own
                failed[name] = error
                continue
            if (datatype := v2_datatype(array)) is None:
                continue
            self._dtypes[name] = array.dtype
            shape = (-1, *array.shape[1:])
            # Optional: as they are asked for.
            spec = TensorSpec(name, datatype, shape, optional=True)
            by_class = name not in ("predict", "transform") and array.ndim == 2
            if by_class and len(self._classes or ()) == array.shape[1]:
                spec.labels = self._classes
            outputs.append(spec)
        if wrong := failed.get(self.default):
            raise ConfigError(
                f"{self.default} fails on an example row ({type(wrong).__name__}: {wrong}); give "
                "`inputs` with an example that it takes"
            ) from wrong
        if self.default not in self._dtypes:
            has = ", ".join(self._methods) or "neither predict nor transform"
            raise ConfigError(f"the model has no {self.default}: it has {has}")
        self._about = VersionDescription(inputs, self._renamed(outputs, said.outputs), {}, self._table)
        if self._table.named and not self._table.frame:
            self._about.properties["columns"] = ", ".join(one.name for one in self._table.columns)

    def _inputs(self, examples: Mapping[str, Any], said: Mapping[str, Any]) -> list[TensorSpec]:
        table = self._table
        if table.texts:
            example = said.get(MATRIX) or ["a text"]
            return [TensorSpec(MATRIX, "BYTES", (-1,), example=example, text=True)]
        if not table.frame:
            one = next(iter(said.values()), None)
            if table.named and len(said) == len(table.columns):  # an example for each column
                firsts = [(said.get(column.name) or [0])[0] for column in table.columns]
                one = firsts if any(said.values()) else None
            return [TensorSpec(MATRIX, self.number, (-1, table.width), example=one)]
        return [
            TensorSpec(
                column.name,
                "BYTES" if column.kind == "text" else self.number,
                (-1, 1),
                column.optional,
                said.get(column.name) or [examples.get(column.name, "" if column.kind == "text" else 0)],
                text=column.kind == "text",
            )
            for column in table.columns
        ]

    def _renamed(self, found: list[TensorSpec], said: list[TensorSpec]) -> list[TensorSpec]:
        """As the configuration has it: those that it names, or one under another name."""
        have = {spec.name: spec for spec in found}
        if not said:
            self._alias = str(self._config.options.get("outputName") or "")
            other = {self.default: self._alias} if self._alias else {}
            return [replace(spec, name=other.get(spec.name, spec.name)) for spec in found]
        if len(said) == 1 and said[0].name not in have:
            self._alias = said[0].name
            have[self._alias] = replace(have[self.default], name=self._alias)
            del have[self.default]
        for spec in said:
            real = have.get(spec.name)
            if real is None:
                raise ConfigError(
                    f"outputs: '{spec.name}' is none of the model's, which has {', '.join(have)}"
                )
            if real.datatype != spec.datatype or len(real.shape) != len(spec.shape):
                raise ConfigError(
                    f"outputs: '{spec.name}' is {real.datatype} {list(real.shape)}, declared "
                    f"{spec.datatype} {list(spec.shape)}"
                )
        default = self._alias or self.default
        if default not in {spec.name for spec in said}:
            raise ConfigError(f"outputs: {default} is what is answered, and isn't among them")
        wanted = {spec.name for spec in said} | ({*have} if self._alias else set())
        return [spec for spec in have.values() if spec.name in wanted]

    def warm_up(self, inputs: Arrays) -> None:
        self.predict(_plain(inputs, self._table), {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """The outputs that the request names, or the one that it is by default."""
        rows = self._rows(inputs)
        found: Arrays = {}
        for name in tables.asked(parameters) or (self._alias or self.default,):
            method = self.default if name == self._alias else name
            if method not in self._dtypes:
                raise InvalidArgument(f"output '{name}': the model has {', '.join(self._dtypes)}")
            try:
                with np.errstate(all="ignore"):  # what is infinite is answered so
                    array = as_array(self._methods[method](rows))
            except ValueError as error:  # what scikit-learn and its kin say of rows they don't take
                raise InvalidArgument(f"the model takes no such rows: {error}") from error
            # As the metadata says: some answer in the type of what they were asked with.
            found[name] = array.astype(self._dtypes[method], copy=False)
        return found

    def _rows(self, inputs: Arrays) -> Any:
        if not self._table.frame:
            rows = inputs[MATRIX]
            return texts(rows) if self._table.texts else rows
        import pandas as pd

        return pd.DataFrame({name: self._series(pd, name, array) for name, array in inputs.items()})

    def _series(self, pd: Any, name: str, array: np.ndarray) -> Any:
        array = array.reshape(len(array))
        return pd.Series(texts(array), dtype=object) if array.dtype == BYTES else array

    def metadata(self) -> VersionDescription:
        return self._about

    def trees(self) -> tuple[Any, str, list[str] | None, list[str]]:
        """For `serve_app.explainers.trees`: what takes its answers apart, what the numbers are, the
        names of classes and columns. ConfigError where it isn't made of trees.
        """
        raise ConfigError("the model isn't made of trees; method lime explains any model")

    def _column_names(self) -> list[str]:
        return [column.name for column in self._table.columns]

    def close(self) -> None:
        """Drop the model."""
        self._methods, self.model = {}, None


class Given(TabularRuntime):
    """A model that was loaded elsewhere: rows in, `predict` out."""

    def __init__(
        self, config: ModelConfig, folder: Path, table: Table, predict: Callable[[Any], Any]
    ) -> None:
        super().__init__(config, folder)
        self._table, self._methods = table, {"predict": predict}
        self._describe()


def texts(array: np.ndarray) -> list[str]:
    """BYTES as str: they were checked to be UTF-8."""
    return [item.decode() for item in array]


def as_array(answer: Any) -> np.ndarray:
    """What a method returned as V2 carries it: labels that are texts as BYTES."""
    if hasattr(answer, "toarray"):  # sparse
        answer = answer.toarray()
    if isinstance(answer, list):  # predict_proba of several targets: an array for each
        answer = np.stack([np.asarray(one) for one in answer], axis=1)
    array = np.asarray(answer)
    if array.dtype == BYTES:
        flat = np.empty(array.size, dtype=object)
        flat[:] = [item if isinstance(item, bytes) else str(item).encode() for item in array.flat]
        return flat.reshape(array.shape)
    return np.ascontiguousarray(as_v2_array(array))


def _declared_columns(table: Table, said: list[TensorSpec]) -> Table | None:
    """By the configuration, where that has a tensor for each column."""
    if not said or table.texts:
        return None
    if len(said) == 1 and len(said[0].shape) == 2 and said[0].shape[1] != 1:  # a matrix
        width = said[0].shape[1]
        if table.columns and width not in (-1, table.width):
            raise ConfigError(f"inputs: {width} columns are declared, the model has {table.width}")
        return table if table.columns or width < 0 else numbered(width)
    names = [spec.name for spec in said]
    if table.named and sorted(names) != sorted(one.name for one in table.columns):
        have = ", ".join(one.name for one in table.columns)
        raise ConfigError(f"inputs: {', '.join(names)} are declared, the model's columns are {have}")
    if table.columns and len(names) != len(table.columns):
        raise ConfigError(f"inputs: {len(names)} columns are declared, the model has {table.width}")
    kinds = {spec.name: kind_of(spec.datatype) for spec in said}
    order = [one.name for one in table.columns] if table.named else names
    columns = tuple(Column(name, kinds[name]) for name in order)
    return Table(columns, True, table.frame or "text" in kinds.values())


def numbered(count: int) -> Table:
    """Columns without names."""
    return Table(tuple(Column(f"column-{at}") for at in range(count)))


def kind_of(datatype: str) -> Kind:
    """Of a column, by its datatype."""
    return "text" if datatype == "BYTES" else "number"


def _arrays(specs: list[TensorSpec], table: Table) -> Arrays:
    """One row of examples."""
    if table.texts or table.frame:
        return {spec.name: _column(spec) for spec in specs}
    width = max(1, table.width)
    flat = (specs[0].example or [0] * width)[:width]
    return {MATRIX: np.array([flat], TO_NUMPY[specs[0].datatype])}


def _column(spec: TensorSpec) -> np.ndarray:
    first = (spec.example or [0])[0]
    if spec.datatype != "BYTES":
        return np.array([first], TO_NUMPY[spec.datatype])
    made = np.empty(1, dtype=object)
    made[:] = [first.encode() if isinstance(first, str) else bytes(first)]
    return made


def _plain(inputs: Arrays, table: Table) -> Arrays:
    """Examples in the form that `validated` gives."""
    return {name: array.reshape(len(array)) if table.frame else array for name, array in inputs.items()}
