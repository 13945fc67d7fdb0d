"""How an input is cut: pieces of some thousand rows, the same ones each time. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["text", "parquet", "images"]

MOST = 10_000  # rows of a piece: what is done again after a kill, and what is in memory at a time
LEAST = 64
_AIM = 64  # pieces, so that all workers have something to do until the end
_PER_PIECE = 256  # images

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "images": (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
}


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `start + rows` of a file; of images, that many files.

    `offset`, `length`: where the lines of a text lie in it, in bytes.
    """

    number: int
    files: tuple[str, ...]
    start: int
    rows: int
    offset: int = 0
    length: int = 0


Cut = tuple[int, int, int, int]  # first row, rows, offset, length


def kind_of(path: str) -> Kind:
    """What a file is, by its name."""
    for kind, suffixes in SUFFIXES.items():
        if path.lower().endswith(suffixes):
            return kind
    return "text"


def line_cuts(chunks: Iterable[bytes], size: int) -> Iterator[Cut]:
    """Each `size` lines of a text. What follows the last line's end is a line if there is something."""
    at = lines = first = begin = 0
    ended = True
    for chunk in chunks:
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n"))
        for end in ends[size - lines - 1 :: size]:
            after = at + int(end) + 1
            yield first, size, begin, after - begin
            first, begin = first + size, after
        lines = (lines + len(ends)) % size
        at += len(chunk)
        ended = chunk.endswith(b"\n")
    if rest := lines + (not ended):
        yield first, rest, begin, at - begin


def row_cuts(rows: int, size: int) -> Iterator[Cut]:
    """Each `size` rows of a table."""
    for first in range(0, rows, size):
        yield first, min(size, rows - first), 0, 0


def unit(piece_rows: int | None) -> int:
    """Rows of the smallest piece that there may be."""
    return piece_rows or LEAST


def joined(files: Iterable[tuple[str, Sequence[Cut]]], piece_rows: int | None) -> list[Piece]:
    """Pieces out of each file's cuts, neighbours put together where there are many."""
    cuts = list(files)
    total = sum(rows for _, some in cuts for _, rows, _, _ in some)
    wanted = max(LEAST, min(MOST, total // _AIM))
    together = 1 if piece_rows else wanted // LEAST
    pieces: list[Piece] = []
    for path, some in cuts:
        for at in range(0, len(some), together):
            part = some[at : at + together]
            rows, length = sum(one[1] for one in part), sum(one[3] for one in part)
            pieces.append(Piece(len(pieces), (path,), part[0][0], rows, part[0][2], length))
    return pieces


def of_images(paths: Sequence[str], piece_rows: int | None) -> list[Piece]:
    """Pieces of some images each."""
    size = piece_rows or max(1, min(_PER_PIECE, len(paths) // _AIM))
    parts = [tuple(paths[at : at + size]) for at in range(0, len(paths), size)]
    return [Piece(number, part, 0, len(part)) for number, part in enumerate(parts)]
