"""Small results in one file, `.npz`: the same job, in a folder beside it, which is packed at the end."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.errors import ConfigError
from serve_app.runtimes.base import need
from serve_app.tools.batch.job import FAILED, Counts
from serve_app.tools.batch.store import Store

_MOST = 1_000_000  # rows: all are in memory at the end
_SUFFIX = ".npz"


def is_one(output: str) -> bool:
    """Whether the output is to be one file."""
    return output.endswith(_SUFFIX)


def folder(output: str) -> str:
    """Where the job's pieces are."""
    return f"{output}.parts" if is_one(output) else output


def fits(output: str, rows: int) -> None:
    """ConfigError for what is too much for one file."""
    if is_one(output) and rows > _MOST:
        raise ConfigError(
            f"{output}: {rows:,} rows; an .npz takes {_MOST:,}. Name a folder: it gets Parquet"
        )


def failures(output: str) -> str:
    """The file that says which rows failed, beside the one of the others."""
    return f"{output.removesuffix(_SUFFIX)}.failed.jsonl" if is_one(output) else ""


def pack(output: str, store: Store, total: Counts) -> None:
    """Make the one file of a job's pieces, where one is wanted."""
    if not is_one(output):
        return
    parquet = need("pyarrow.parquet", "batch")
    beside, _, name = output.rpartition("/")
    place = Store(beside or ("/" if output.startswith("/") else "."))
    names = sorted(one for one in store.names() if one.endswith(".parquet"))
    tables = [parquet.read_table(io.BytesIO(store.read(one) or b"")) for one in names]
    arrays: dict[str, np.ndarray] = {}
    for column in tables[0].column_names if tables else ():
        arrays[column] = np.concatenate([_array(one[column].combine_chunks()) for one in tables])
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]  # its stub takes names for options
    place.write(name, out.getvalue())
    lines = b"".join(store.read(f"{FAILED}/{one}") or b"" for one in sorted(store.names(FAILED)))
    said = failures(name)
    if total.failed:
        place.write(said, lines)
    else:
        place.drop(said)
    place.drop_folder("_work")
    place.drop_folder(Path(folder(output)).name)


def _array(column: Any) -> np.ndarray:
    """Lists as further dimensions; text as fixed-width characters, which needs no pickle to be read."""
    shape, values = [len(column)], column
    while (
        hasattr(values, "flatten") and hasattr(values.type, "value_type") and "list" in str(values.type)
    ):
        inner = values.flatten()
        shape.append(len(inner) // max(1, len(values)))
        values = inner
    array = values.to_numpy(zero_copy_only=False)
    if array.dtype == object:
        array = np.array([str(one) if not isinstance(one, bytes) else one for one in array.tolist()])
    shaped: np.ndarray = array.reshape(shape)
    return shaped
