"""Arrays of every V2 datatype for property tests, and an equality that misses nothing."""

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

BF16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = {
    f"{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)
}
FLOATS = {"FP16": "float16", "FP32": "float32", "FP64": "float64", "BF16": BF16}
DTYPES = {
    name: np.dtype(dtype)
    for name, dtype in ({"BOOL": "bool"} | INTEGERS | FLOATS | {"BYTES": object}).items()
}
DATATYPES = sorted(DTYPES)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


def of_bytes(items: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """An object array of `bytes`."""
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out.reshape(shape)


def special(dtype: np.dtype) -> np.ndarray:
    """NaN, infinities, both zeros, the extremes and the subnormals of a float type."""
    info = ml_dtypes.finfo(dtype)
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, info.max, info.min, info.tiny]
    small = np.array([1, 3], dtype=f"u{dtype.itemsize}").view(dtype)  # the two odd smallest subnormals
    return np.concatenate([np.array([float(value) for value in values], dtype=dtype), small, -small])


def arrays(datatype: str, text: bool = False) -> st.SearchStrategy[np.ndarray]:
    """Arrays of a datatype: 0 to 4 dimensions, zero sizes, any bit pattern. `text`: UTF-8 only."""
    return SHAPES.flatmap(lambda shape: _filled(datatype, shape, text))


def _filled(datatype: str, shape: tuple[int, ...], text: bool) -> st.SearchStrategy[np.ndarray]:
    size, dtype = int(np.prod(shape)), DTYPES[datatype]
    if datatype == "BYTES":
        item = st.text(max_size=8).map(str.encode) if text else st.binary(max_size=12)
        return st.lists(item, min_size=size, max_size=size).map(lambda items: of_bytes(items, shape))
    if datatype not in FLOATS:
        return hnp.arrays(dtype, shape)
    bits = hnp.arrays(f"u{dtype.itemsize}", shape, fill=st.nothing()).map(
        lambda array: array.view(dtype)
    )
    known = special(dtype)
    places = st.lists(st.integers(0, len(known) - 1), min_size=size, max_size=size)
    return bits | places.map(lambda places: known[np.array(places, dtype=int)].reshape(shape))


def same(left: np.ndarray, right: np.ndarray, nan_payloads: bool = True) -> bool:
    """Equal in type, shape and every bit (-0.0 is not 0.0); without `nan_payloads` any NaN is NaN."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if left.dtype == object:
        return left.tolist() == right.tolist() and all(type(item) is bytes for item in right.flat)
    if not nan_payloads and left.dtype.kind in "fV":
        with np.errstate(invalid="ignore"):  # of bfloat16, a NaN that signals does
            nan, other = np.isnan(left), np.isnan(right)
        if not np.array_equal(nan, other):
            return False
        left, right = left[~nan], right[~nan]
    return left.tobytes() == right.tobytes()
