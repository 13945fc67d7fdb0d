"""What is kept of requests and answers, and how much memory that is."""

import numpy as np
import pytest

from serve_app.core.shadow import jobs
from serve_app.core.shadow.jobs import kept, parts, size_of
from serve_app.protocol.tensors import Tensor


def texts(*values: bytes) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def tensor(data: np.ndarray) -> Tensor:
    return Tensor("x", "FP32", data)


def test_a_part_holds_the_whole() -> None:
    whole = np.zeros((64, 4), np.float32)
    assert size_of(whole) == 1024
    assert size_of(whole[:1]) == 1024
    view = np.frombuffer(bytes(1024), np.float32)
    assert size_of(view) == 1024


def test_texts_by_their_lengths() -> None:
    assert size_of(texts(b"a" * 100, b"")) == 100 + 2 * 41
    assert size_of(texts()) == 0
    assert size_of(texts(*[b"ab"] * 5000)) == 5000 * 43  # of which some are looked at


def test_what_may_be_written_to_is_copied() -> None:
    mine = np.ones(4, np.float32)
    theirs = np.frombuffer(bytes(16), np.float32)
    found = kept([tensor(mine), tensor(theirs)])
    assert found is not None
    (one, other), size = found
    mine[0] = 7
    assert one.data[0] == 1
    assert other.data is theirs
    assert size == 32


def test_not_more_than_takes_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_COPIED", 100)
    fits = tensor(np.zeros(20, np.float32))
    assert kept([fits]) is not None
    assert kept([fits, fits]) is None
    unwritable = np.zeros(1000, np.float32)
    unwritable.setflags(write=False)
    assert kept([tensor(unwritable)]) is not None


def test_small_rows_leave_their_batch() -> None:
    batch = np.zeros((64, 4), np.float32)
    found, size = parts([tensor(batch[3:4])])
    assert size == 16
    assert found["x"].base is None
    whole, size = parts([tensor(batch)])
    assert whole["x"] is batch
    assert size == 1024


def test_large_ones_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_COPIED", 80)
    batch = np.zeros((64, 4), np.float32)
    found, size = parts([tensor(batch[3:4])])
    assert found["x"].base is batch
    assert size == 1024
