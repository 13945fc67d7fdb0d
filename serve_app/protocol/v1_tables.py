"""V1's rows for models of rows and columns, in the forms that KServe's servers take.

A row is a list of values, an object of values by column, or, as KServe's clients write data frames, an
object of lists or a list of objects. A row of a model of texts is a text.
"""

from typing import Any

import numpy as np

from serve_app.errors import InvalidArgument, shown
from serve_app.protocol import elements
from serve_app.protocol.datatypes import as_v2_array, v2_datatype
from serve_app.protocol.tables import MATRIX, Table
from serve_app.protocol.tensors import Tensor


def tensors_of(rows: Any, key: str, table: Table) -> list[Tensor]:
    """The tensors of `rows`, the value at `key` of a V1 message."""
    if isinstance(rows, dict):
        rows = elements.given(rows)
        return [_column(name, _listed(values, f"{key}.{name}"), f"{key}.{name}")
                for name, values in rows.items()]  # fmt: skip
    if not isinstance(rows, list):
        raise InvalidArgument(f"{key} must be a list of rows, got {shown(rows)}")
    if not rows:
        return _none(table)
    first = rows[0]
    if isinstance(first, list) and first and isinstance(first[0], dict):
        rows = _joined(rows, key)
        first = rows[0]
    if isinstance(first, dict):
        return _by_name(rows, key)
    if table.texts:
        return [_column(MATRIX, rows, key)]
    return _matrix(rows, key, table)


def _none(table: Table) -> list[Tensor]:
    if table.frame:
        return [Tensor(column.name, *_empty(column.kind == "text")) for column in table.columns]
    if table.texts:
        return [Tensor(MATRIX, *_empty(True))]
    return [Tensor(MATRIX, "FP64", np.empty((0, max(table.width, 0))))]


def _empty(text: bool) -> tuple[str, np.ndarray]:
    return ("BYTES", np.empty(0, dtype=object)) if text else ("FP64", np.empty(0))


def _joined(rows: list[Any], key: str) -> list[Any]:
    """Lists of objects, one after the other."""
    for at, row in enumerate(rows):
        if not isinstance(row, list):
            raise InvalidArgument(f"{key}[{at}] must be a list of objects, as {key}[0] is")
    return [one for row in rows for one in row]


def _matrix(rows: list[Any], key: str, table: Table) -> list[Tensor]:
    wide = None
    for at, row in enumerate(rows):
        if not isinstance(row, list):
            row = [row]  # noqa: PLW2901 - a column of single values
            if table.width != 1:
                raise InvalidArgument(
                    f"{key}[{at}] must be a list of {_width(table)} values, got {shown(rows[at])}"
                )
        wide = len(row) if wide is None else wide
        if len(row) != wide or table.width not in (-1, wide):
            raise InvalidArgument(
                f"{key}[{at}] must have {_width(table, wide)} values, it has {len(row)}"
            )
    lists = [row if isinstance(row, list) else [row] for row in rows]
    if not table.frame:
        try:
            array: np.ndarray = np.array(lists)
        except ValueError:  # nested unevenly
            array = np.empty(0, dtype=object)
        if array.ndim == 2 and array.dtype.kind in "bif":
            return [_tensor(MATRIX, array)]
    # Texts, nulls or nonsense: column by column, which says where.
    named = table.columns
    columns = [
        _column(named[at].name if named else str(at), [row[at] for row in lists], f"{key}[…][{at}]")
        for at in range(wide or 0)
    ]
    if table.frame:
        return columns
    for column in columns:
        if column.datatype == "BYTES":
            raise InvalidArgument(f"{key}: column '{column.name}': expected numbers, got texts")
    return [_tensor(MATRIX, np.column_stack([column.data for column in columns]))]


def _width(table: Table, wide: int = 0) -> int:
    return wide if table.width < 0 else table.width


def _by_name(rows: list[Any], key: str) -> list[Tensor]:
    columns: dict[str, list[Any]] = {}
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidArgument(f"{key}[{at}] must be an object of columns, as {key}[0] is")
        if at and row.keys() != columns.keys():
            odd = sorted(row.keys() ^ columns.keys())[0]
            what = "isn't there" if odd in columns else f"is not in {key}[0]"
            raise InvalidArgument(f"{key}[{at}].{odd[:80]} {what}: all rows have the same columns")
        for name, value in row.items():
            values = value if isinstance(value, list) else [value]
            columns.setdefault(name, []).extend(values)
        if len({len(values) for values in columns.values()}) > 1:
            sizes = ", ".join(f"{name[:80]} {len(values)}" for name, values in columns.items())
            raise InvalidArgument(f"{key}[{at}]: its columns differ in length, up to here {sizes[:500]}")
    return [_column(name, values, f"{key}[…].{name[:80]}") for name, values in columns.items()]


def _listed(values: Any, where: str) -> list[Any]:
    if not isinstance(values, list):
        raise InvalidArgument(f"{where} must be a list of values, got {shown(values)}")
    return [one[0] if isinstance(one, list) and len(one) == 1 else one for one in values]


def _column(name: str, values: list[Any], where: str) -> Tensor:
    """Numbers, of which null is one that is missing, or texts."""
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        array = np.empty(len(values), dtype=object)
        array[:] = [value.encode("utf-8", "surrogatepass") for value in values]
        return Tensor(name, "BYTES", array)
    if kinds <= {int, float, bool, type(None)}:
        try:
            missing = type(None) in kinds
            return _tensor(name, np.array(values, np.float64) if missing else np.array(values))
        except OverflowError:
            raise InvalidArgument(f"{where}: a number is out of range") from None
    at, wrong = next((at, one) for at, one in enumerate(values) if type(one) is not type(values[0]))\
        if len(kinds) > 1 else (0, values[0])  # fmt: skip
    raise InvalidArgument(f"{where}: numbers or texts, one kind of them; row {at} is {shown(wrong)}")


def _tensor(name: str, array: np.ndarray) -> Tensor:
    array = as_v2_array(array)
    datatype = v2_datatype(array)
    if datatype is None or array.dtype == object:
        raise InvalidArgument(f"column '{name}': a number is out of range")
    return Tensor(name, datatype, array)
