"""Inputs: what there is, cut into pieces; and a piece as a table."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serve_app.errors import ConfigError
from serve_app.runtimes.base import need
from serve_app.tools.batch.pieces import (
    SUFFIXES,
    Cut,
    Kind,
    Piece,
    joined,
    kind_of,
    line_cuts,
    of_images,
    row_cuts,
    unit,
)
from serve_app.tools.batch.store import File, filesystem, listed

# Columns of ours, beside those of the input.
PIECE, FILE, ROW = "_piece", "input_file", "input_row"
_PACKED = (".gz", ".bz2", ".zst", ".lz4", ".br")
_CHUNK = 2**22
_AT_ONCE = 8  # files that are looked at
_AT_A_TIME = 4096  # rows of a Parquet file


def chosen(uri: str, kind: Kind | None) -> tuple[Kind, list[File]]:
    """What is to be read, and as what; ConfigError where that can't be told."""
    files = listed(uri)
    kinds = {kind_of(one.path) for one in files}
    if kind is None:
        if len(kinds) > 1:
            raise ConfigError(
                f"{uri}: there is {' and '.join(sorted(kinds))}; --format says which to take"
            )
        (kind,) = kinds
    elif kind in SUFFIXES and len(files) > 1:
        files = [one for one in files if kind_of(one.path) == kind]
        if not files:
            raise ConfigError(f"{uri}: no file there that ends with {', '.join(SUFFIXES[kind])}")
    return kind, files


def cut(uri: str, kind: Kind, files: Iterable[File], piece_rows: int | None) -> list[Piece]:
    """The pieces of these files. Texts are read once for it, to find their lines."""
    paths = [one.path for one in files]
    if kind == "images":
        return of_images(paths, piece_rows)
    fs, _ = filesystem(uri)
    size = unit(piece_rows)

    def cuts(path: str) -> tuple[str, list[Cut]]:
        try:
            if kind == "text":
                with fs.open_input_stream(path) as stream:
                    return path, list(line_cuts(iter(lambda: stream.read(_CHUNK), b""), size))
            parquet = need("pyarrow.parquet", "batch")
            with fs.open_input_file(path) as source:
                return path, list(row_cuts(parquet.read_metadata(source).num_rows, size))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: can't be read as {kind}: {error}") from None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return joined(pool.map(cuts, paths), piece_rows)


def table(uri: str, kind: Kind, piece: Piece) -> Any:
    """A piece's rows: the input's columns, and ours."""
    pa = need("pyarrow", "batch")
    fs, _ = filesystem(uri)
    files = list(piece.files) if kind == "images" else list(piece.files) * piece.rows
    rows = [0] * piece.rows if kind == "images" else range(piece.start, piece.start + piece.rows)
    if kind == "text":
        found = pa.table({"text": pa.array(_lines(fs, piece), pa.binary())})
    elif kind == "images":
        found = pa.table({"image": pa.array([_content(fs, path) for path in piece.files], pa.binary())})
    else:
        found = _rows(fs, piece)
    ours = {PIECE: [piece.number] * piece.rows, FILE: files, ROW: rows}
    for name, values in ours.items():
        if name in found.column_names:
            raise ConfigError(f"{piece.files[0]}: the column '{name}' is what Tandem calls its own")
        found = found.append_column(name, pa.array(values, pa.string() if name == FILE else pa.int64()))
    return found


def _lines(fs: Any, piece: Piece) -> list[bytes]:
    (path,) = piece.files
    if path.endswith(_PACKED):  # nothing leads into the middle of it
        with fs.open_input_stream(path) as stream:
            left = piece.offset
            while left:
                left -= len(stream.read(min(_CHUNK, left)))
            data = b"".join(_exactly(stream, piece.length))
    else:
        with fs.open_input_file(path) as source:
            data = source.read_at(piece.length, piece.offset)
    lines = data.split(b"\n")
    return [line.removesuffix(b"\r") for line in lines[: piece.rows]]


def _exactly(stream: Any, length: int) -> Iterator[bytes]:
    while length:
        yield (data := stream.read(min(_CHUNK, length)))
        length -= len(data)


def _content(fs: Any, path: str) -> bytes:
    with fs.open_input_file(path) as source:
        found: bytes = source.read()
        return found


def _rows(fs: Any, piece: Piece) -> Any:
    """Out of the row groups that have them, and no more of these than is needed at a time."""
    pa, parquet = need("pyarrow", "batch"), need("pyarrow.parquet", "batch")
    (path,) = piece.files
    with fs.open_input_file(path) as source:
        file = parquet.ParquetFile(source)
        stop, before, skip = piece.start + piece.rows, 0, 0
        groups: list[int] = []
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if before + rows > piece.start and before < stop:
                if not groups:
                    skip = piece.start - before
                groups.append(number)
            before += rows
        found, have = [], 0
        for batch in file.iter_batches(batch_size=_AT_A_TIME, row_groups=groups):
            part = batch.slice(skip)
            skip = max(0, skip - len(batch))
            part = part.slice(0, piece.rows - have)
            have += len(part)
            found.append(part)
            if have == piece.rows:
                break
        return pa.Table.from_batches(found, schema=None if found else file.schema_arrow)
