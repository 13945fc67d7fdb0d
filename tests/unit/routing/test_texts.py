"""The share of tokens with which two texts begin."""

import numpy as np
import pytest

from serve_app.routing.texts import Texts, agreement


def texts(*values: str) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = [value.encode() for value in values]
    return array


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ("a b c", "a b c", Texts(3, 3, 3, 3)),
        ("a b c", "a b d", Texts(2, 3, 3, 3)),
        ("a b c", "x b c", Texts(0, 3, 3, 3)),
        ("a b", "a b c d", Texts(2, 4, 2, 4)),
        ("a, b.", "a, b!", Texts(3, 4, 4, 4)),
        ("a  b\n", "a b", Texts(2, 2, 2, 2)),  # how they are set apart is no token
        ("", "", Texts(0, 0, 0, 0)),
        ("", "a", Texts(0, 1, 0, 1)),
        ("Übung macht", "Übung macht's", Texts(2, 4, 2, 4)),
    ],
)
def test_of_two(a: str, b: str, found: Texts) -> None:
    assert agreement(texts(a), texts(b)) == found


def test_several_are_added_up() -> None:
    found = agreement(texts("a b", "c"), texts("a b", "d e f"))
    assert found == Texts(2, 5, 3, 5)
    assert found.share == 0.4


def test_the_share_of_nothing_is_whole() -> None:
    assert agreement(texts(""), texts("")).share == 1


def test_bytes_that_are_no_text() -> None:
    one = np.empty(1, dtype=object)
    one[0] = b"\xff\xfe"
    assert agreement(one, one).share == 1
