"""An explanation never asks for more than a small batch at a time, nor for longer than it may."""

import numpy as np
import pytest

from serve_app.errors import ConfigError, DeadlineExceeded, InvalidArgument, Overloaded, Unavailable
from serve_app.explainers import asking
from serve_app.explainers.asking import Asked, output_of
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.explainers.asked import Model, asked

ROWS = {"x": np.arange(150.0).reshape(150, 1)}


def test_in_batches_of_bounded_size_in_their_order():
    model = Model(lambda inputs: inputs["x"] * 2)
    found = asked(model, batch=64)(ROWS)
    assert model.batches == [64, 64, 22]
    assert model.versions == {"7"}
    assert np.array_equal(found, ROWS["x"] * 2)


class Full(Model):
    """Has no room for so many requests."""

    def __init__(self, times: int, error: Exception) -> None:
        super().__init__(lambda inputs: inputs["x"])
        self.times, self.error = times, error

    def predict(self, version, inputs, output, seconds):
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return super().predict(version, inputs, output, seconds)


class Clock:
    def __init__(self) -> None:
        self.now, self.slept = 100.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_where_there_is_no_room_it_waits_longer_and_longer():
    clock = Clock()
    model = Full(7, Overloaded("full"))
    found = Asked(model, "", 200, 160.0, sleep=clock.sleep, clock=clock)(ROWS)
    assert len(found) == 150
    assert clock.slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_until_its_time_is_over():
    clock = Clock()
    model = Full(1000, Overloaded("full"))
    with pytest.raises(DeadlineExceeded, match="longer than its request may"):
        Asked(model, "", 64, 103.0, sleep=clock.sleep, clock=clock)(ROWS)
    assert sum(clock.slept) == pytest.approx(3.0)


def test_what_isnt_a_lack_of_room_is_said_at_once():
    with pytest.raises(Unavailable, match="gone"):
        asked(Full(1, Unavailable("gone")))(ROWS)


def declares(*outputs: tuple[str, str]) -> VersionDescription:
    return VersionDescription([], [TensorSpec(name, kind, (-1,)) for name, kind in outputs])


@pytest.mark.parametrize(
    ("outputs", "wanted", "found"),
    [
        ([("predict", "INT64"), ("predict_proba", "FP64")], "", "predict_proba"),
        ([("predict", "INT64"), ("predict_proba", "FP64")], "predict", "predict"),
        ([("label", "BYTES"), ("probabilities", "FP32")], "", "probabilities"),
        ([("predict", "INT64")], "", "predict"),
        ([], "", ""),
        ([], "anything", "anything"),
    ],
)
def test_which_output_is_explained(outputs, wanted, found):
    assert output_of(declares(*outputs), wanted) == found


def test_an_output_that_isnt_there():
    with pytest.raises(InvalidArgument, match="no output 'score'; did you mean scores"):
        output_of(declares(("scores", "FP32")), "score")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.array([b"a"] * 150, dtype=object), "BYTES"),
        (np.zeros((150, 2, 2)), r"\[150, 2, 2\]"),
        (np.zeros(3), r"\[3\] for 150 rows"),
    ],
)
def test_what_is_no_number_for_each_row_cant_be_explained(answer, message):
    with pytest.raises(InvalidArgument, match=message):
        asked(Model(lambda inputs: answer), batch=150)(ROWS)


def test_a_process_that_explains_nothing_says_so(monkeypatch):
    monkeypatch.setattr(asking, "_here", [])
    with pytest.raises(ConfigError, match="application of its own"):
        asking.reached()
    model = Model(lambda inputs: inputs["x"])
    asking.reach(model)
    assert asking.reached() is model
