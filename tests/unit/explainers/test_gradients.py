"""Integrated gradients, against what the theory says of them."""

import numpy as np
import pytest
import torch

from serve_app.errors import ConfigError, DeadlineExceeded, InvalidArgument
from serve_app.explainers.gradients import Gradients
from tests.unit.explainers.asked import Model, asked, options

ROWS = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]], np.float32)
WEIGHTS = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]], np.float32)


def linear() -> torch.nn.Module:
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(WEIGHTS))
        layer.bias.fill_(0.25)
    return layer


def gradients(module, inputs=("x",), outputs=("y",), labels=None, steps=50, baseline=0.0, output=""):
    return Gradients(
        module, torch.from_numpy, inputs, outputs, {outputs[0]: labels}, steps, baseline, output
    )


def explained(module, rows=ROWS, wanted=None, **said):
    return gradients(module, **said).explain({"x": rows}, asked(Model(None)), options(wanted=wanted))


@pytest.mark.parametrize("baseline", [0.0, 1.0, [1.0, 0.0, 2.0]])
@pytest.mark.parametrize("column", [0, 1])
def test_of_a_linear_model_they_are_its_weights_times_the_way(baseline, column):
    found = explained(linear(), baseline=baseline, wanted=column)
    way = ROWS - np.asarray(baseline, np.float32)
    assert np.allclose(found["attributions"], WEIGHTS[column] * way, atol=1e-5)
    assert found["class"].tolist() == [column, column]


def test_they_add_up_to_the_whole_difference():
    """Completeness, of a model that is anything but linear."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2), torch.nn.Softmax(dim=1)
    )
    found = explained(module, steps=300, labels=["a", "b"])
    total = found["attributions"].sum(axis=1)
    assert np.allclose(total, found["prediction"] - found["base_value"], atol=1e-3)
    assert np.allclose(found["delta"], total - (found["prediction"] - found["base_value"]), atol=1e-5)
    with torch.no_grad():
        answer = module(torch.from_numpy(ROWS)).numpy()
        start = module(torch.zeros(1, 3)).numpy()
    assert np.allclose(found["prediction"], answer.max(axis=1))
    assert np.allclose(found["base_value"], start[0, answer.argmax(axis=1)])
    assert found["label"].tolist() == [[b"a", b"b"][at] for at in answer.argmax(axis=1)]


def test_an_input_that_counts_for_nothing_gets_nothing():
    """Sensitivity: x1 is multiplied by 0."""
    found = explained(linear(), wanted=1)
    assert found["attributions"][:, 1].tolist() == [0, 0]


def test_inputs_of_any_shape():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 3))
    rows = np.ones((2, 2, 2, 2), np.float32)
    assert explained(module, rows)["attributions"].shape == (2, 2, 2, 2)


def test_several_inputs_and_outputs():
    class Two(torch.nn.Module):
        def forward(self, a, b):
            return {"sum": 2 * a.sum(1) + b[:, 0], "other": b}

    made = gradients(Two(), inputs=("a", "b"), outputs=("sum", "other"))
    inputs = {"b": np.full((1, 2), 5.0, np.float32), "a": ROWS[:1]}
    found = made.explain(inputs, asked(Model(None)), options())
    assert np.allclose(found["attributions.a"], 2 * ROWS[:1])
    assert np.allclose(found["attributions.b"], [[5.0, 0.0]])
    assert "class" not in found
    found = made.explain(inputs, asked(Model(None), wanted="other"), options(wanted=1))
    assert np.allclose(found["attributions.b"], [[0.0, 5.0]])
    with pytest.raises(InvalidArgument, match="no output 'othr'; did you mean other"):
        made.explain(inputs, asked(Model(None), wanted="othr"), options())


def test_the_same_bytes_each_time():
    module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    first, second = explained(module), explained(module)
    assert {name: one.tobytes() for name, one in first.items() if name != "output"} == {
        name: one.tobytes() for name, one in second.items() if name != "output"
    }


class Cut(torch.nn.Module):
    def forward(self, x):
        return x.detach()


def test_what_goes_wrong():
    with pytest.raises(InvalidArgument, match=r"baseline has shape \[2\], a row of 'x' has \[3\]"):
        explained(linear(), baseline=[1.0, 2.0])
    with pytest.raises(ConfigError, match="no output 'z'"):
        gradients(linear(), output="z")
    with pytest.raises(InvalidArgument, match=r"output 'y' is of shape"):
        explained(torch.nn.Unflatten(1, (3, 1)))
    with pytest.raises(ConfigError, match="output 'y' has no gradient"):
        explained(Cut())
    with pytest.raises(DeadlineExceeded):
        gradients(linear()).explain({"x": ROWS}, asked(Model(None), seconds=0), options())


def test_inputs_of_one_number_for_each_row():
    class Sum(torch.nn.Module):
        def forward(self, a, b):
            return 2 * a + b

    rows = {"a": np.array([1, 2, 3], np.float32), "b": np.ones(3, np.float32)}
    found = gradients(Sum(), inputs=("a", "b")).explain(rows, asked(Model(None)), options())
    assert np.allclose(found["attributions.a"], [2, 4, 6], atol=1e-5)
    assert np.allclose(found["attributions.b"], [1, 1, 1], atol=1e-5)
    assert found["prediction"].tolist() == [3, 5, 7]
