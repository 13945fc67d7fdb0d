"""Columns of a table as a model's inputs, and its outputs as columns."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serve_app.config import did_you_mean
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.protocol.datatypes import BF16, numpy_dtype
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.base import need

Size = tuple[int, int]  # height, width


def feeds(
    inputs: Sequence[TensorSpec], columns: Sequence[str], named: Mapping[str, str]
) -> dict[str, str]:
    """Which column each input takes: as named, else of its name, else the one that there is.

    A model that doesn't say what it takes gets every column. ConfigError for what has none.
    """
    known = {spec.name for spec in inputs}
    for one, column in named.items():
        if inputs and one not in known:
            raise ConfigError(
                f"--column {one}={column}: the model has no such input{did_you_mean(one, known)}"
            )
        if column not in columns:
            raise ConfigError(f"--column {one}={column}: no such column{did_you_mean(column, columns)}")
    if not inputs:
        return {**{one: one for one in columns if one not in named.values()}, **named}
    found = {**{one: one for one in known & set(columns)}, **named}
    missing = [spec.name for spec in inputs if spec.name not in found and not spec.optional]
    if len(missing) == 1 and len(columns) == 1 and not found:
        return {missing[0]: columns[0]}
    if missing:
        raise ConfigError(
            f"no column for the model's input '{missing[0]}': the columns are {', '.join(columns)}; "
            f"--column {missing[0]}=COLUMN says which"
        )
    return found


def array_of(column: Any, spec: TensorSpec | None, name: str, size: Size | None = None) -> np.ndarray:
    """A column (of Arrow's) as a model takes it; InvalidArgument says what doesn't fit."""
    pa = need("pyarrow", "batch")
    if column.null_count:
        raise InvalidArgument(f"'{name}' is null")
    if _is_text(pa, column.type):
        items = column.cast(pa.binary()).to_pylist()
        if spec is None or spec.datatype == "BYTES":
            array = np.empty(len(items), dtype=object)
            array[:] = items
            if spec is None or spec.text:
                _utf8(items, name, spec)
            return _shaped(array, spec, name)
        return _images(items, spec, name, size)
    values, shape = column, [len(column)]
    while pa.types.is_nested(values.type):
        values, width = _inner(pa, values, name)
        shape.append(width)
    array = values.to_numpy(zero_copy_only=False).reshape(shape)
    return array if spec is None else _shaped(_cast(array, spec, name), spec, name)


def _is_text(pa: Any, kind: Any) -> bool:
    of = pa.types
    return any(
        is_one(kind) for is_one in (of.is_string, of.is_large_string, of.is_binary, of.is_large_binary)
    )


def _utf8(items: Sequence[bytes], name: str, spec: TensorSpec | None) -> None:
    if spec is None:
        return
    for item in items:
        try:
            item.decode()
        except UnicodeDecodeError:
            raise InvalidArgument(f"'{name}' is not UTF-8") from None


def _inner(pa: Any, lists: Any, name: str) -> tuple[Any, int]:
    """What lists of one length hold, one after the other, and that length."""
    if not hasattr(lists, "flatten") or pa.types.is_struct(lists.type):
        raise InvalidArgument(f"'{name}' is {lists.type}, of which there are no tensors")
    lengths = set(need("pyarrow.compute", "batch").list_value_length(lists).to_pylist())
    if len(lengths) > 1:
        raise InvalidArgument(f"'{name}' has lists of {min(lengths)} to {max(lengths)} elements")
    values = lists.flatten()
    if values.null_count:
        raise InvalidArgument(f"'{name}' holds a null")
    return values, lengths.pop() if lengths else 0


def _cast(array: np.ndarray, spec: TensorSpec, name: str) -> np.ndarray:
    if spec.datatype == "BYTES":
        raise InvalidArgument(f"'{name}' is {array.dtype}, and the input '{spec.name}' takes BYTES")
    dtype = numpy_dtype(spec.datatype, spec.name)
    if array.dtype == dtype:
        return array
    if array.dtype == object:
        raise InvalidArgument(
            f"'{name}' holds no numbers, and the input '{spec.name}' takes {spec.datatype}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
    lossy = dtype.kind in "iub" and not np.array_equal(cast, array)
    if lossy or bool((np.isinf(cast) & ~np.isinf(array)).any() if dtype.kind == "f" else False):
        raise InvalidArgument(f"'{name}' has values that {spec.datatype} can't hold")
    return cast


def _shaped(array: np.ndarray, spec: TensorSpec | None, name: str) -> np.ndarray:
    """With the input's dimensions, where there are as many elements."""
    if spec is None or spec.accepts(array.shape):
        return array
    row = spec.shape[1:]
    if row.count(-1) <= 1:
        try:
            return array.reshape(len(array), *row)
        except ValueError:
            pass
    raise InvalidArgument(
        f"'{name}' has the shape {list(array.shape[1:])}, and the input '{spec.name}' takes {list(row)}"
    )


def _images(items: Sequence[bytes], spec: TensorSpec, name: str, size: Size | None) -> np.ndarray:
    """Encoded images as pixels: grey or RGB, colours first or last, as the input's shape has it."""
    row = spec.shape[1:]
    first, last = len(row) == 3 and row[0] in (1, 3), len(row) == 3 and row[-1] in (1, 3)
    colours = row[0] if first else row[-1] if last else 1
    rows = []
    for item in items:
        pixels = _decoded(item, "RGB" if colours == 3 else "L", size, name)
        if len(row) == 3 and pixels.ndim == 2:
            pixels = pixels[:, :, None]
        rows.append(pixels.transpose(2, 0, 1) if first and not last else pixels)
    if len({one.shape for one in rows}) > 1:
        raise InvalidArgument(f"'{name}' has images of several sizes; --image-size makes them one")
    return _shaped(_cast(np.stack(rows), spec, name), spec, name)


def _decoded(item: bytes, mode: str, size: Size | None, name: str) -> np.ndarray:
    pillow = need("PIL.Image", "batch")
    try:
        with pillow.open(io.BytesIO(item)) as image:
            found = image.convert(mode)
            return np.asarray(found.resize((size[1], size[0])) if size else found)
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        said = str(error).partition(" <")[0]
        raise InvalidArgument(f"'{name}' is no image that can be read: {said}") from None


def column_of(array: np.ndarray, spec: TensorSpec | None) -> Any:
    """An output as a column: numbers, text (or other bytes), and lists of these, a level per dimension.

    Lists are of one length where the model says which.
    """
    pa = need("pyarrow", "batch")
    flat = array.reshape(-1)
    if array.dtype == object:
        values = pa.array(flat.tolist(), pa.binary())
        with contextlib.suppress(pa.ArrowInvalid):  # other bytes
            values = values.cast(pa.string())
    else:
        values = pa.array(flat.astype(np.float32) if array.dtype == BF16 else flat)
    for level in range(array.ndim - 1, 0, -1):
        width = array.shape[level]
        fixed = spec is not None and not spec.any_rank and spec.shape[level] > 0
        if fixed:
            values = pa.FixedSizeListArray.from_arrays(values, width)
        else:
            count = int(np.prod(array.shape[:level], dtype=np.int64))
            offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
            values = pa.ListArray.from_arrays(offsets, values)
    return values
