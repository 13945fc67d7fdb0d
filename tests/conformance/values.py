"""Tensors to send: every datatype, its extremes first."""

import math

import ml_dtypes
import numpy as np

from tests.conformance.clients.driver import DTYPES

SHAPES = [(), (1,), (0,), (2, 0, 3), (7,), (2, 3, 4)]
TEXTS = ["", "a", "naïve café", "日本語", "🚀 rocket", 'quote " and \\ backslash', "line\nbreak", "\x00"]


def tensor(
    datatype: str, shape: tuple[int, ...], *, finite: bool = False, utf8: bool = False
) -> np.ndarray:
    """The same array every time: extremes, then noise. `finite` leaves out NaN and infinities."""
    count = math.prod(shape)
    noise = np.random.default_rng(len(datatype) + count)
    if datatype == "BYTES":
        items = [text.encode() for text in TEXTS]
        items += [noise.bytes(int(size)) for size in noise.integers(0, 40, count)]
        if utf8:
            items = items[: len(TEXTS)] * (count // len(TEXTS) + 1)
        array = np.empty(count, dtype=object)
        array[:] = items[::-1][:count] if not utf8 else items[:count]
        return array.reshape(shape)
    return _numbers(datatype, count, noise, finite).reshape(shape)


def _numbers(datatype: str, count: int, noise: np.random.Generator, finite: bool) -> np.ndarray:
    dtype = DTYPES[datatype]
    if datatype == "BOOL":
        return noise.integers(0, 2, count).astype(bool)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        extremes = np.array([limits.max, limits.min, 0, 1], dtype=dtype)
        rest = noise.integers(limits.min, limits.max, count, dtype=dtype, endpoint=True)
    else:
        limits = ml_dtypes.finfo(dtype)
        special = [limits.max, limits.smallest_subnormal, -0.0]
        extremes = np.array([*special, *(() if finite else (np.nan, np.inf, -np.inf))], dtype=dtype)
        rest = noise.standard_normal(count).astype(dtype)
    return np.concatenate([extremes, rest])[:count]


def same(got: np.ndarray, expected: np.ndarray) -> None:
    """Equal in type, shape and every bit; NaNs equal NaNs."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if expected.dtype == object:
        assert got.tolist() == expected.tolist()
        return
    kind = expected.dtype.kind
    if kind in "fV":
        got, expected = got.astype(np.float64), expected.astype(np.float64)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))
    np.testing.assert_array_equal(got, expected)
