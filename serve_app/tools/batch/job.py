"""What a job is, and how far it is, as its output has it.

    _job.json                   the model, the input and its pieces; another job isn't mixed with it
    part-000012.parquet         the rows of a piece
    _failed/part-000012.jsonl   those of its rows that failed, each with the reason
    _done/000012-9997-3         the piece is finished: rows, and failed ones
    _SUCCESS                    all are

A piece's record is written last. One that was killed before is done anew, into files of the same names:
so nothing is there twice, and nothing is missing.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from serve_app.errors import ConfigError
from serve_app.runtimes.base import need
from serve_app.tools.batch.pieces import Piece
from serve_app.tools.batch.store import Store
from serve_app.tools.batch.tries import FOLDER as TRIES

JOB, DONE, FAILED, SUCCESS = "_job.json", "_done", "_failed", "_SUCCESS"
_RECORD = re.compile(r"(\d+)-(\d+)-(\d+)")


class Counts(NamedTuple):
    """Rows that have an output, and rows that have none."""

    rows: int = 0
    failed: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(self.rows + other.rows, self.failed + other.failed)


class Job:
    """One job, in its output's folder."""

    def __init__(self, store: Store, pieces: Sequence[Piece], done: dict[int, Counts]) -> None:
        self.store, self.pieces, self.done = store, pieces, done

    @property
    def left(self) -> list[Piece]:
        """What isn't finished yet."""
        return [one for one in self.pieces if one.number not in self.done]

    @property
    def rows(self) -> int:
        """All of the input's."""
        return sum(one.rows for one in self.pieces)

    def counts(self) -> Counts:
        """Of what is finished."""
        total = Counts()
        for one in self.done.values():
            total = total.plus(one)
        return total

    def finish(self) -> Counts:
        """All pieces are there: say so, beside them."""
        total = self.counts()
        self.store.write(SUCCESS, json.dumps({"rows": total.rows, "failed": total.failed}).encode())
        for folder in ("_work", TRIES):
            self.store.drop_folder(folder)
        return total


def found(store: Store, about: dict[str, Any]) -> Job | None:
    """The job that has this output, if it is the one that is asked for; ConfigError if it is another."""
    text = store.read(JOB)
    if text is None:
        return None
    known = json.loads(text)
    other = [key for key, value in about.items() if known["about"].get(key) != value]
    if other:
        raise ConfigError(
            f"{store.uri}: the output of another job is there: {' and '.join(other)} "
            "differ. Name another folder, or say --overwrite"
        )
    pieces = [Piece(**{**one, "files": tuple(one["files"])}) for one in known["pieces"]]
    return Job(store, pieces, records(store.names(DONE)))


def begun(store: Store, about: dict[str, Any], pieces: Sequence[Piece]) -> Job:
    """A new job; what else is in its folder stays out of it. ConfigError where there are results."""
    if any(name.endswith(".parquet") for name in store.names()):
        raise ConfigError(f"{store.uri}: there are Parquet files already. Name another folder")
    text = json.dumps({"about": about, "pieces": [asdict(one) for one in pieces]})
    store.write(JOB, text.encode())
    return Job(store, pieces, {})


def forget(store: Store) -> None:
    """Remove what a job has left, its description last: what is in between is still its own."""
    for folder in (DONE, FAILED, TRIES, "_work"):
        store.drop_folder(folder)
    for name in list(store.names()):
        if re.fullmatch(r"part-\d+\.parquet|_SUCCESS", name):
            store.drop(name)
    store.drop(JOB)


def records(names: Iterable[str]) -> dict[int, Counts]:
    """The finished pieces, by their records' names."""
    matches = filter(None, map(_RECORD.fullmatch, names))
    return {int(one[1]): Counts(int(one[2]), int(one[3])) for one in matches}


def write(store: Store, number: int, rows: Any, failures: Sequence[dict[str, Any]]) -> Counts:
    """The outcome of a piece: its table (None without a row), its failures, and last the record."""
    data, failed = f"part-{number:06}.parquet", f"{FAILED}/part-{number:06}.jsonl"
    if failures:
        lines = (json.dumps(one, ensure_ascii=False) for one in failures)
        store.write(failed, "".join(f"{line}\n" for line in lines).encode(errors="replace"))
    else:
        store.drop(failed)  # of a try that was killed
    counts = Counts(rows.num_rows if rows is not None else 0, len(failures))
    if rows is not None:
        pa, parquet = need("pyarrow", "batch"), need("pyarrow.parquet", "batch")
        out = pa.BufferOutputStream()
        parquet.write_table(rows, out, compression="zstd")
        store.write(data, out.getvalue().to_pybytes())
    else:
        store.drop(data)
    store.write(f"{DONE}/{number:06}-{counts.rows}-{counts.failed}", b"")
    return counts
