"""Requests to models of rows and columns: a matrix, or named columns, as what the model takes.

KServe's and MLServer's servers take whatever single tensor comes, and one tensor for each column where
the content type says `pd`; they look at neither the tensor's name nor its type. So does this.
"""

from collections.abc import Iterable

import numpy as np
import orjson

from serve_app.config import did_you_mean
from serve_app.core.signature import check_text, repeated
from serve_app.errors import InvalidArgument
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.reserved import OUTPUTS, TENSORS, for_server
from serve_app.protocol.tables import MATRIX, Column, Table
from serve_app.protocol.tensors import Arrays, InferRequest, Parameters, Tensor


def asking_for(outputs: Iterable[str], parameters: Parameters) -> Parameters:
    """The parameters of a request for these outputs, of which the model computes no others."""
    return parameters | {OUTPUTS: orjson.dumps(list(outputs)).decode()}


def asked(parameters: Parameters) -> list[str]:
    """The outputs that a request names; none where it names none."""
    found = parameters.get(OUTPUTS)
    return list(dict.fromkeys(orjson.loads(found))) if found else []


def validated(request: InferRequest, version: VersionDescription, batched: bool = False) -> Arrays:
    """The request's rows: one matrix, or an array for each column. InvalidArgument names the column."""
    table, given = version.table, request.inputs
    assert table is not None
    if (twice := repeated(tensor.name for tensor in given)) is not None:
        raise InvalidArgument(f"tensor '{twice}' is given twice")
    if not given:
        raise InvalidArgument(f"inputs: a tensor of rows, {_columns(table)}, but there is none")
    known = {column.name for column in table.columns} if table.named else set()
    if len(given) == 1 and given[0].name not in known:
        return _of_matrix(given[0], table)
    if table.texts:
        raise InvalidArgument(f"inputs: the model takes one tensor of texts, got {len(given)}")
    return _of_columns({tensor.name: tensor for tensor in given}, table)


def passed(request: InferRequest, version: VersionDescription, batched: bool = False) -> Arrays:
    """The request's arrays as they are: another server holds them against what it takes."""
    if (twice := repeated(tensor.name for tensor in request.inputs)) is not None:
        raise InvalidArgument(f"tensor '{twice}' is given twice")
    return {tensor.name: tensor.data for tensor in request.inputs}


def _own(parameters: Parameters) -> Parameters:
    """Those that say nothing of how the tensor came."""
    return {name: value for name, value in parameters.items() if name != "binary_data_size"}


def passed_on(request: InferRequest, outputs: Iterable[str] | None) -> Parameters:
    """What goes to another server beside its tensors: the request's parameters, and their own."""
    found = for_server(request.parameters)
    if outputs is not None:
        found = asking_for(outputs, found)
    own = {one.name: _own(one.parameters) for one in request.inputs if one.parameters}
    return found | {TENSORS: own} if own else found


def _columns(table: Table) -> str:
    return (
        "a text each" if table.texts else f"of {table.width} columns" if table.columns else "as a matrix"
    )


def _of_matrix(tensor: Tensor, table: Table) -> Arrays:
    data, name = tensor.data, tensor.name
    if table.texts:
        if tensor.datatype != "BYTES":
            raise InvalidArgument(f"tensor '{name}': expected datatype BYTES, got {tensor.datatype}")
        if data.ndim == 2 and data.shape[1] == 1:
            data = data[:, 0]
        if data.ndim != 1:
            raise InvalidArgument(f"tensor '{name}': expected shape [-1], got {list(data.shape)}")
        check_text(data, name)
        return {MATRIX: data}
    if data.ndim == 1 and table.width == 1:
        data = data[:, None]
    if data.ndim != 2 or table.width not in (-1, data.shape[1]):
        raise InvalidArgument(
            f"tensor '{name}': expected shape [-1, {table.width}] (-1 is any), got {list(data.shape)}"
            + _unnamed(name, table)
        )
    if table.frame:
        columns = enumerate(table.columns)
        return {column.name: _fitting(data[:, at], column, name) for at, column in columns}
    if tensor.datatype == "BYTES":
        raise InvalidArgument(f"tensor '{name}': expected numbers, got BYTES")
    return {MATRIX: data}


def _unnamed(name: str, table: Table) -> str:
    """Where a single column came, whose name was to be one of the model's."""
    if not table.named:
        return ""
    return f", and '{name}' is no column of the model" + did_you_mean(
        name, [column.name for column in table.columns]
    )


def _of_columns(given: dict[str, Tensor], table: Table) -> Arrays:
    columns = table.columns
    if not table.named:  # in the order in which they come, as a data frame without names
        if table.width not in (-1, len(given)):
            raise InvalidArgument(f"inputs: expected {table.width} columns, got {len(given)}")
        columns = tuple(Column(name) for name in given)
    _check_names(given, columns)
    rows = {name: _rows(tensor) for name, tensor in given.items()}
    count = len(next(iter(rows.values())))
    first = next(iter(rows))
    for name, values in rows.items():
        if len(values) != count:
            raise InvalidArgument(
                f"tensor '{name}' has {len(values)} rows, tensor '{first}' has {count}"
            )
    found = {
        column.name: _fitting(rows[column.name], column, column.name)
        if column.name in rows
        else np.full(count, np.nan)
        for column in columns
    }
    return found if table.frame else {MATRIX: np.column_stack(list(found.values()))}


def _check_names(given: dict[str, Tensor], columns: tuple[Column, ...]) -> None:
    names = [column.name for column in columns]
    for name in given:
        if name not in names:
            raise InvalidArgument(
                f"tensor '{name}' is no column of this model{did_you_mean(name, names)}"
            )
    missing = [one.name for one in columns if one.name not in given and not one.optional]
    if missing:
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise InvalidArgument(f"columns are missing: {', '.join(missing[:8])}{more}")


def _rows(tensor: Tensor) -> np.ndarray:
    data = tensor.data
    if data.ndim == 2 and data.shape[1] == 1:  # as MLServer's codec for data frames writes them
        data = data[:, 0]
    if data.ndim != 1:
        raise InvalidArgument(
            f"tensor '{tensor.name}': a column is of shape [-1] or [-1, 1], "
            f"got {list(tensor.data.shape)}"
        )
    return data


def _fitting(values: np.ndarray, column: Column, tensor: str) -> np.ndarray:
    text = values.dtype == object
    if text:
        check_text(values, tensor)
    if column.kind == "any" or text == (column.kind == "text"):
        return values
    wanted, got = ("numbers", "BYTES") if text else ("texts (BYTES)", "numbers")
    where = "" if tensor == column.name else f" of tensor '{tensor}'"
    raise InvalidArgument(f"column '{column.name}'{where}: expected {wanted}, got {got}")
