"""Events in files, many in each: JSON lines or Parquet, on disk or in a bucket."""

import importlib
import io
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from serve_app.errors import ConfigError
from serve_app.observability.payloads.events import Event
from serve_app.releases.store import Bucket, Folder, Store

# Files of one hour lie together.
At = Callable[[str], Store]


def place(address: str) -> At:
    """What makes the store of an hour, below a path or a bucket's URL."""
    address = address.rstrip("/")
    if "://" in address:
        return lambda hour: Bucket(f"{address}/{hour}", "payloads.url")
    return lambda hour: Folder(Path(address) / hour)


class Files:
    """A file for each batch, whole or not at all: `HOUR/TIME-PROCESS-NUMBER.jsonl`."""

    def __init__(self, at: At, form: str, most: int, own: str) -> None:
        self._at, self._form, self.most, self._own = at, form, most, own
        self._numbers = itertools.count(1)
        if form == "parquet":
            _parquet()

    def send(self, events: list[Event]) -> None:
        """Write one file."""
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S}-{self._own}-{next(self._numbers)}"
        rows = [event.structured() for event in events]
        if self._form == "parquet":
            data, ending = _table(rows), "parquet"
        else:
            data = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
            ending = "jsonl"
        try:
            self._at(f"{now:%Y/%m/%d/%H}").put(f"{name}.{ending}", data)
        except (TypeError, ValueError, ArithmeticError) as error:  # the store's, and no event's fault
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Nothing is open between two files."""


def _parquet() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        what = f"format: parquet needs pyarrow ({error})"
        raise ConfigError(f"{what}; install it with: pip install 'tandem-serve[batch]'") from None


def _table(rows: list[dict[str, Any]]) -> bytes:
    """A column of text for each attribute, and `data` as JSON."""
    arrow, parquet = _parquet()
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [_text(row.get(name)) for row in rows] for name in names}
    table = arrow.table({name: arrow.array(column, arrow.string()) for name, column in columns.items()})
    written = io.BytesIO()
    parquet.write_table(table, written, compression="zstd")
    return written.getvalue()


def _text(value: Any) -> str | None:
    return orjson.dumps(value).decode() if isinstance(value, orjson.Fragment) else value
