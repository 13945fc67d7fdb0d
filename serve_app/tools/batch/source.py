"""Pieces as a data source of Ray Data's. Imported only where Ray Data is.

Ray's own readers take a file as one block, or cut it by size: a million lines would be in memory at
once, and what is finished couldn't be told apart the next time.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from serve_app.tools.batch.pieces import Kind, Piece
from serve_app.tools.batch.reading import table


class Pieces(Datasource):  # type: ignore[misc]
    """One block for each piece of an input."""

    def __init__(self, uri: str, kind: Kind, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self._uri, self._kind, self._pieces = uri, kind, pieces

    def estimate_inmemory_data_size(self) -> int | None:
        """What isn't known before it is read."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """As many as there are pieces, whatever is asked for."""
        return [
            ReadTask(
                partial(_blocks, self._uri, self._kind, piece),
                BlockMetadata(num_rows=piece.rows, size_bytes=None, input_files=None, exec_stats=None),
                per_task_row_limit=per_task_row_limit,
            )
            for piece in self._pieces
        ]


def _blocks(uri: str, kind: Kind, piece: Piece) -> Iterator[Any]:
    yield table(uri, kind, piece)
