"""A user's own class that explains a model, and asks it."""

import threading

import numpy as np
import pytest

from serve_app.errors import ConfigError, DeadlineExceeded
from serve_app.explainers.asking import reach
from serve_app.runtimes import explaining_class
from tests.unit.explainers.asked import Model


class Own:
    """A user's: by how much the answer falls without each column."""

    def __init__(self, model, scale=1.0):
        self.model, self.scale = model, scale

    def explain(self, inputs, parameters):
        self.thread, self.parameters = threading.current_thread(), parameters
        (whole,) = self.model.predict(inputs, output="scores").values()
        parts = []
        for column in range(inputs["x"].shape[1]):
            without = inputs["x"].copy()
            without[:, column] = 0
            parts.append(whole - self.model.predict({"x": without})["scores"])
        return {"attributions": np.stack(parts, axis=1) * self.scale}


class OwnAsync(Own):
    async def explain(self, inputs, parameters):
        answer = await self.model.predict_async(inputs)
        return {"answer": answer["scores"], "names": np.array(list(parameters), dtype=object)}


@pytest.mark.parametrize("kind", ["Own", "OwnAsync"])
async def test_a_class_of_one_s_own(load, kind):
    model = Model(lambda inputs: inputs["x"] @ [1.0, 2.0])
    reach(model)
    why = load(modelFormat="python", **{"class": f"{__name__}:{kind}"}, options={"scale": 10})
    rows = np.array([[3.0, 4.0], [5.0, 6.0]])
    found = await why(rows, "x", _version="2", _seconds=9.0, mine=1)
    assert model.versions == {"2"}
    if kind == "Own":
        assert found["attributions"].tolist() == [[30, 80], [50, 120]]
    else:
        assert found["answer"].tolist() == [11, 17]
        assert found["names"].tolist() == [b"mine"]
    assert why.signature.properties == {"explains": "iris", "method": "class"}


async def test_the_model_isnt_asked_for_whom_nobody_waits(load, monkeypatch):
    model = Model(lambda inputs: inputs["x"] @ [1.0, 2.0])
    reach(model)
    why = load(modelFormat="python", **{"class": f"{__name__}:Own"})
    monkeypatch.setattr(explaining_class, "nobody_waits", lambda: bool(model.batches))  # left by then
    with pytest.raises(DeadlineExceeded, match="nobody waits"):
        await why(np.array([[3.0, 4.0]]), "x")
    assert model.batches == [1]


def test_a_class_that_explains_nothing(load):
    with pytest.raises(ConfigError, match=r"Model has no explain\(inputs, parameters\)"):
        load(
            modelFormat="python",
            **{"class": "tests.unit.explainers.asked:Model"},
            options={"function": None},
        )
