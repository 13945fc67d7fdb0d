"""Triton's classification extension: an output's highest values, as `value:index[:label]`."""

from collections.abc import Sequence

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol import elements
from serve_app.protocol.tensors import TensorSpec

KEY = "classification"
_MOST = 1_000_000  # values of one row: all of them are put in order
_FLOATS = ("FP32", "FP64")
# Those that Triton tells classes from.
NUMBERS = (*_FLOATS, *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)))


def count(value: object, output: str, least: int) -> int:
    """How many classes are asked for; over HTTP 0 are none, and the output stays what it is."""
    number = elements.integer(value)
    if type(number) is not int or not least <= number < 2**32:
        raise InvalidArgument(
            f"output '{output}': {KEY} must be an integer of at least {least}, got {value!r:.80}"
        )
    return number


def check(output: str, datatype: str) -> None:
    """InvalidArgument where there are no classes to tell."""
    if datatype not in NUMBERS:
        raise InvalidArgument(
            f"output '{output}': {KEY} takes one of {', '.join(NUMBERS)}, and it is {datatype}"
        )


def classes(array: np.ndarray, datatype: str, most: int, rows: bool, spec: TensorSpec) -> np.ndarray:
    """The `most` highest values, of each row or of all; the first of equal ones first, NaN last."""
    check(spec.name, datatype)
    rows = rows and array.ndim > 0
    shape = (array.shape[0], -1) if rows and array.size else (1, -1)
    values = array.reshape(shape)
    if values.shape[1] > _MOST:
        raise InvalidArgument(
            f"output '{spec.name}': {KEY} takes at most {_MOST} values, and it has {values.shape[1]}"
        )
    # As it is sorted up, the last of equal ones comes last: so it is turned round before and after.
    order = np.argsort(_without_nan(values[:, ::-1]), axis=1, kind="stable")[:, ::-1]
    order = (values.shape[1] - 1 - order)[:, :most]
    found = np.empty(order.shape, dtype=object)
    for row, best in enumerate(order):
        found[row] = [_text(values[row, at], int(at), datatype, spec.labels or ()) for at in best]
    if not array.size:
        return found.reshape((*array.shape[:1], 0) if rows else (0,))
    return found if rows else found[0]


def _without_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), -np.inf, values) if values.dtype.kind == "f" else values


def _text(value: np.generic, index: int, datatype: str, labels: Sequence[str]) -> bytes:
    number = f"{value:f}" if datatype in _FLOATS else f"{value}"
    label = f":{labels[index]}" if index < len(labels) and labels[index] else ""
    return f"{number}:{index}{label}".encode()
