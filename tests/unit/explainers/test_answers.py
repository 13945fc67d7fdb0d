"""Which number is explained, whatever a request names."""

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.explainers.answers import LOG_ODDS, Targets


@pytest.mark.parametrize("wanted", ["yes", 1, "1", None])
def test_of_two_classes_with_one_number_the_second_is_explained(wanted):
    found = Targets(LOG_ODDS, np.array([[2.0], [-1.0]]), ["no", "yes"], wanted).answer()
    assert found["class"].tolist() == [1, 1]
    assert found["label"].tolist() == [b"yes", b"yes"]
    assert found["prediction"].tolist() == [2.0, -1.0]


@pytest.mark.parametrize("wanted", ["no", 0, "0"])
def test_and_not_the_first(wanted):
    with pytest.raises(InvalidArgument, match="other sign"):
        Targets(LOG_ODDS, np.ones((1, 1)), ["no", "yes"], wanted)


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [("9" * 5000, None), (-1, None), (3, None), (True, None), (1.0, None), ("b", ["a", "c"]),
     ("d", ["a", "b", "c", "d"])],
)  # fmt: skip
def test_a_class_that_there_isnt(wanted, labels):
    with pytest.raises(InvalidArgument, match=r"parameters\.class: expected a number below 3"):
        Targets("scores", np.ones((1, 3)), labels, wanted)


@pytest.mark.parametrize("scores", [np.ones((1, 0)), np.full((1, 2), np.nan), np.array([[np.inf]])])
def test_a_model_that_answers_no_number(scores):
    with pytest.raises(InvalidArgument, match="output 'scores': the model answers no"):
        Targets("scores", scores)
