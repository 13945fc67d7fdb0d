"""The class that holds the model: a piece in, its outcome written, and how many rows that were."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serve_app.config import RemoteModel
from serve_app.errors import ConfigError, ModelFailed, TandemError
from serve_app.protocol.tensors import Arrays
from serve_app.runtimes.base import need
from serve_app.runtimes.host import ModelHost
from serve_app.tools.batch.columns import Size, array_of, column_of, feeds
from serve_app.tools.batch.job import JOB, Counts, write
from serve_app.tools.batch.reading import FILE, PIECE, ROW
from serve_app.tools.batch.store import Store
from serve_app.tools.batch.tries import Tries


@dataclass(frozen=True)
class Work:
    """What a worker is told. `config`: the model's, as written; `folder`: where the command started.

    `sampling`, `chat`: of an LLM.
    """

    config: dict[str, Any]
    output: str
    batch_size: int
    columns: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    size: Size | None = None
    folder: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    chat: bool = False


def where(table: Any, row: int) -> dict[str, Any]:
    """Where a row comes from."""
    return {name: table[name][row].as_py() for name in (FILE, ROW)}


class Predictor:
    """One copy of a model. What is wrong with the job itself, not with a row, is a ConfigError."""

    def __init__(self, work: Work) -> None:
        if work.folder and work.folder not in sys.path:
            sys.path.insert(0, work.folder)  # a user's class
        logging.getLogger("tandem").setLevel(logging.CRITICAL)  # of rows that fail there is a file
        self._work, self._store = work, Store(work.output)
        self._loop, self._computes = asyncio.new_event_loop(), threading.Lock()
        self._wrong: ConfigError | None = None
        try:  # Ray would bury it: it is said with the first piece
            self._load()
        except ConfigError as error:
            self._wrong = error

    def _load(self) -> None:
        config = RemoteModel.model_validate(self._work.config)
        self._host = ModelHost(config, gpu=config.resources.num_gpus > 0)
        self._version = self._host.load()[-1].version
        for reason in self._host.failed.values():
            raise ConfigError(reason)
        signature = self._host.versions[self._version].signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._outputs = {spec.name: spec for spec in signature.outputs}
        if self._store.read(JOB) is None:
            raise ConfigError(
                f"{self._work.output}: {os.uname().nodename} doesn't see what was written there; the "
                "output has to be a bucket, or a folder that all nodes share"
            )

    def __call__(self, table: Any) -> Any:
        """A piece's rows, all of them; the answer is a row about it, or about a mistake of the job."""
        pa = need("pyarrow", "batch")
        number, counts, wrong = table[PIECE][0].as_py(), Counts(), ""
        try:
            counts = self._done(number, table)
        except ConfigError as error:  # as an exception it would come back as a text of Ray's
            wrong = str(error)
        about = {"piece": number, "rows": counts.rows, "failed": counts.failed, "wrong": wrong}
        return pa.table({name: [value] for name, value in about.items()})

    def _done(self, number: int, table: Any) -> Counts:
        if self._wrong:
            raise self._wrong
        with self._computes:  # another thread reads the next piece meanwhile, or writes the last one
            tries = Tries(self._store, number)
            outcome = self.outcome(table, tries)
        counts = write(self._store, number, *outcome)
        tries.over()
        return counts

    def close(self) -> None:
        """Give the model back."""
        if not self._wrong:
            self._host.close()
        self._loop.close()

    def outcome(self, table: Any, tries: Tries) -> tuple[Any, list[dict[str, Any]]]:
        """The table of outputs (None without any), and the rows that failed."""
        pa = need("pyarrow", "batch")
        columns = [name for name in table.column_names if name not in (PIECE, FILE, ROW)]
        fed = feeds(list(self._inputs.values()), columns, self._work.columns)
        if unknown := [name for name in self._work.keep if name not in columns]:
            raise ConfigError(f"--keep {unknown[0]}: no such column; there are {', '.join(columns)}")
        inputs = {name: table[column].combine_chunks() for name, column in fed.items()}
        failures: list[dict[str, Any]] = []
        good: list[tuple[int, int, Arrays]] = []

        def failed(row: int, kind: str, reason: str) -> None:
            failures.append({**where(table, row), "kind": kind, "reason": reason})

        def part(start: int, stop: int) -> None:
            """Predict these rows, and where that fails each half of them, down to the row."""
            if tries.deadly(start, stop):
                kind, reason = "ProcessDied", "the process that computed it died, twice"
            else:
                try:
                    good.append((start, stop, self._predicted(inputs, start, stop)))
                    return
                except ConfigError:
                    raise
                except TandemError as error:
                    kind = type(error).__name__
                    reason = error.whole if isinstance(error, ModelFailed) else str(error)
                finally:
                    tries.survived(start, stop)
            if stop - start == 1:
                failed(start, kind, reason)
                return
            middle = (start + stop) // 2
            part(start, middle)
            part(middle, stop)

        size = self._work.batch_size
        for start in range(0, table.num_rows, size):
            part(start, min(start + size, table.num_rows))
        if not good:
            return None, failures
        kept = pa.concat_tables([table.slice(start, stop - start) for start, stop, _ in good])
        names = list(dict.fromkeys(name for _, _, arrays in good for name in arrays))
        out = {name: kept[name] for name in (FILE, ROW)}
        for name in self._work.keep:
            out[name] = as_text(kept[name])
        for name in names:
            if name in out:
                raise ConfigError(
                    f"the model's output '{name}' has the name of another column of the output"
                )
            parts = [column_of(arrays[name], self._outputs.get(name)) for _, _, arrays in good]
            if len({part.type for part in parts}) > 1:  # text, and other bytes
                parts = [part.cast(pa.binary()) for part in parts]
            out[name] = pa.chunked_array(parts)
        return pa.table(out), failures

    def _predicted(self, inputs: Mapping[str, Any], start: int, stop: int) -> Arrays:
        arrays = {
            name: array_of(
                column.slice(start, stop - start), self._inputs.get(name), name, self._work.size
            )
            for name, column in inputs.items()
        }
        found = self._loop.run_until_complete(self._host.predict(self._version, arrays, {}))
        for name, array in found.items():
            if array.shape[:1] != (stop - start,):
                raise ModelFailed(
                    f"output '{name}' has the shape {list(array.shape)} for {stop - start} rows"
                )
        return found


def as_text(column: Any) -> Any:
    """Bytes as text, where all of it is."""
    pa = need("pyarrow", "batch")
    try:
        return column.cast(pa.string()) if column.type == pa.binary() else column
    except pa.ArrowInvalid:
        return column
