"""What becomes of a piece's rows, and of a job that is killed at any moment. No Ray here."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.errors import ConfigError
from serve_app.tools.batch import job as jobs
from serve_app.tools.batch.job import Counts
from serve_app.tools.batch.predict import Predictor, Work
from serve_app.tools.batch.reading import FILE, ROW, chosen, cut, table
from serve_app.tools.batch.store import Store

CAREFUL = {"name": "m", "modelFormat": "python", "class": "tests.unit.tools.batch.models:Careful"}


class Killed(BaseException):
    """The end of a process, at a write."""


def begin(folder: Path, lines: list[str], **work: Any) -> tuple[jobs.Job, list[Any], Work]:
    """A job over these lines in pieces of eight, and the pieces' tables."""
    source, store = folder / "in.txt", Store(str(folder / "out"))
    source.write_text("".join(f"{line}\n" for line in lines))
    kind, files = chosen(str(source), None)
    about = {"the model": CAREFUL}
    job = jobs.found(store, about) or jobs.begun(store, about, cut(str(source), kind, files, 8))
    told = Work(**{"config": CAREFUL, "output": store.uri, "batch_size": 4, **work})
    return job, [table(str(source), kind, one) for one in job.left], told


def work_on(tables: list[Any], work: Work) -> list[dict[str, Any]]:
    """What a worker says of each piece."""
    with contextlib.closing(Predictor(work)) as worker:
        return [worker(one).to_pylist()[0] for one in tables]


def results(folder: Path) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    out = folder / "out"
    failed = [
        json.loads(line)
        for one in sorted(out.glob("_failed/*.jsonl"))
        for line in one.read_text().splitlines()
    ]
    return pq.read_table(out).to_pydict(), failed


def test_rows_that_fail_go_beside_with_their_reason_and_nobody_else(tmp_path: Path) -> None:
    lines = [f"bad {n}" if n in (3, 17, 18) else f"text {n}" for n in range(20)]
    _, tables, work = begin(tmp_path, lines, keep=("text",))
    found = work_on(tables, work)
    assert [(one["rows"], one["failed"]) for one in found] == [(7, 1), (8, 0), (2, 2)]
    rows, failed = results(tmp_path)
    good = [n for n in range(20) if n not in (3, 17, 18)]
    assert rows[ROW] == good  # in the input's order
    assert rows["text"] == rows["again"] == [lines[n] for n in good]
    assert rows["length"] == [len(lines[n]) for n in good]
    assert [one[ROW] for one in failed] == [3, 17, 18]
    assert failed[0] == {
        FILE: str(tmp_path / "in.txt"), ROW: 3, "kind": "ModelFailed",
        "reason": "model 'm' raised ValueError: a bad one among 1",
    }  # fmt: skip
    again, left, _ = begin(tmp_path, lines)
    assert left == []
    assert again.counts() == Counts(17, 3)
    assert again.finish() == Counts(17, 3)
    assert json.loads((tmp_path / "out/_SUCCESS").read_text()) == {"rows": 17, "failed": 3}


def test_a_piece_without_a_good_row_has_no_table(tmp_path: Path) -> None:
    _, tables, work = begin(tmp_path, ["bad"] * 3)
    assert work_on(tables, work) == [{"piece": 0, "rows": 0, "failed": 3, "wrong": ""}]
    assert list((tmp_path / "out").glob("*.parquet")) == []


@pytest.mark.parametrize("writes", range(12))
def test_killed_at_any_write_nothing_is_lost_or_doubled(
    tmp_path: Path, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at its n-th change of a file; another one goes on."""
    lines = [f"bad {n}" if n % 5 == 0 else f"text {n}" for n in range(20)]
    left = iter(range(writes))
    for change in ("write", "drop"):
        monkeypatch.setattr(Store, change, _mortal(getattr(Store, change), left))

    def go_on() -> None:
        _, tables, work = begin(tmp_path, lines)
        work_on(tables, work)

    with pytest.raises(Killed):
        go_on()
    monkeypatch.undo()
    go_on()
    rows, failed = results(tmp_path)
    assert rows[ROW] == [n for n in range(20) if n % 5]
    assert [one[ROW] for one in failed] == [n for n in range(20) if n % 5 == 0]
    assert begin(tmp_path, lines)[0].counts() == Counts(16, 4)


def _mortal(change: Any, left: Any) -> Any:
    def until_killed(*arguments: Any) -> None:
        if next(left, None) is None:
            raise Killed
        change(*arguments)

    return until_killed


def test_what_a_killed_try_wrote_is_taken_back(tmp_path: Path) -> None:
    """It may have failed where the next one doesn't, and the other way round."""
    store = Store(str(tmp_path / "out"))
    failure = {FILE: "f", ROW: 0, "kind": "k", "reason": "r"}
    jobs.write(store, 0, None, [failure])
    jobs.write(store, 0, pa.table({ROW: [0]}), [])
    assert list((tmp_path / "out/_failed").iterdir()) == []
    jobs.write(store, 0, None, [failure])
    assert list((tmp_path / "out").glob("*.parquet")) == []


def test_another_job_is_not_mixed_with_it(tmp_path: Path) -> None:
    job, _, _ = begin(tmp_path, ["a"])
    with pytest.raises(ConfigError, match="another job is there: the model differ"):
        jobs.found(job.store, {"the model": {}})
    jobs.write(job.store, 0, pa.table({ROW: [0]}), [])
    jobs.forget(job.store)
    assert jobs.found(job.store, {"the model": {}}) is None
    assert not list((tmp_path / "out").rglob("*.*"))
    (tmp_path / "out/mine.parquet").write_bytes(b"")
    with pytest.raises(ConfigError, match="Parquet files already"):
        jobs.begun(job.store, {}, [])


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ({"columns": {"x": "txet"}}, "no such column; did you mean text"),
        ({"keep": ("id",)}, "--keep id: no such column; there are text"),
        ({"config": {**CAREFUL, "class": "tests.unit.tools.batch.models:None"}}, "None"),
    ],
)
def test_a_mistake_of_the_job_is_no_failing_row(
    tmp_path: Path, work: dict[str, Any], words: str
) -> None:
    _, tables, told = begin(tmp_path, ["a"], **work)
    (found,) = work_on(tables, told)
    assert words in str(found["wrong"])
    assert not list((tmp_path / "out").rglob("_done/*"))


def test_a_model_that_loses_rows_fails_them(tmp_path: Path) -> None:
    forgetful = {**CAREFUL, "class": "tests.unit.tools.batch.models:Forgetful"}
    _, tables, work = begin(tmp_path, ["a", "b"], config=forgetful)
    assert work_on(tables, work) == [
        {"piece": 0, "rows": 2, "failed": 0, "wrong": ""}
    ]  # alone each gets one
