"""Rows that kill their process are found by what is left of it."""

from pathlib import Path

from serve_app.tools.batch.store import Store
from serve_app.tools.batch.tries import FOLDER, Tries


class Died(BaseException):
    """The end of a process."""


def compute(store: Store, deadly: set[int]) -> tuple[list[int], list[int]]:
    """A piece of 64 rows in batches of 16, as a worker does."""
    tries, good, given_up = Tries(store, 7), [], []

    def part(start: int, stop: int) -> None:
        if not tries.deadly(start, stop):
            if deadly & set(range(start, stop)):
                raise Died
            tries.survived(start, stop)
            good.extend(range(start, stop))
        elif stop - start == 1:
            given_up.append(start)
        else:
            part(start, (start + stop) // 2)
            part((start + stop) // 2, stop)

    for start in range(0, 64, 16):
        part(start, start + 16)
    tries.over()
    return good, given_up


def test_a_deadly_row_is_given_up_and_no_other(tmp_path: Path) -> None:
    store, deaths = Store(str(tmp_path)), 0
    while True:
        try:
            good, given_up = compute(store, {21, 40})
            break
        except Died:
            deaths += 1
            assert deaths < 20
    assert given_up == [21, 40]
    assert sorted(good) == [n for n in range(64) if n not in (21, 40)]
    assert list(store.names(FOLDER)) == []


def test_a_death_that_does_not_come_again_costs_no_row(tmp_path: Path) -> None:
    """A machine that went away."""
    store = Store(str(tmp_path))
    for deadly in ({21}, {21}, {63}, set()):
        try:
            good, given_up = compute(store, deadly)
        except Died:
            continue
    assert (sorted(good), given_up) == (list(range(64)), [])
